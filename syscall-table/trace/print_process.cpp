// Structures of processes: limits, usage, identity, creation; prctl(2).
#include <linux/capability.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>

#include "syscall-table/trace/fields.h"
#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

void put_limit(Call& call, uint64_t value) {
    Line& line = call.line;
    if (value == RLIM_INFINITY) {
        line.put("RLIM64_INFINITY");
    } else if (value > 1024 && value % 1024 == 0) {
        line.put_unsigned(value / 1024);
        line.put("*1024");
    } else {
        line.put_unsigned(value);
    }
}

}  // namespace

void print_rlimit(Call& call, const struct rlimit& limit) {
    put_two(call, "{rlim_cur=", limit.rlim_cur, ", rlim_max=", limit.rlim_max, put_limit);
    call.line.put('}');
}

void print_rusage(Call& call, const struct rusage& usage) {
    put_two(call, "{ru_utime=", usage.ru_utime, ", ru_stime=", usage.ru_stime, print_timeval);
    call.line.put(", ...}");
}

void print_sysinfo(Call& call, const struct sysinfo& info) {
    Line& line = call.line;
    line.put("{uptime=");
    line.put_decimal(info.uptime);
    line.put(", loads=[");
    for (size_t i = 0; i < 3; ++i) {
        if (i != 0) line.put(", ");
        line.put_unsigned(info.loads[i]);
    }
    line.put(']');
    const auto field = [&](std::string_view name, uint64_t value) {
        line.put(name);
        line.put_unsigned(value);
    };
    field(", totalram=", info.totalram);
    field(", freeram=", info.freeram);
    field(", sharedram=", info.sharedram);
    field(", bufferram=", info.bufferram);
    field(", totalswap=", info.totalswap);
    field(", freeswap=", info.freeswap);
    field(", procs=", info.procs);
    field(", totalhigh=", info.totalhigh);
    field(", freehigh=", info.freehigh);
    field(", mem_unit=", info.mem_unit);
    line.put('}');
}

void print_utsname(Call& call, const struct utsname& name) {
    call.line.put("{sysname=");
    const auto put = [&](const auto& field) {
        const char* end = std::find(field, field + sizeof(field), '\0');
        call.line.put_quoted(field, static_cast<size_t>(end - field), false);
    };
    put(name.sysname);
    call.line.put(", nodename=");
    put(name.nodename);
    call.line.put(", ...}");
}

void print_sched_param(Call& call, const struct sched_param& param) {
    call.line.put('[');
    call.line.put_decimal(param.sched_priority);
    call.line.put(']');
}

void print_cap_header(Call& call, const struct __user_cap_header_struct& header) {
    Line& line = call.line;
    line.put("{version=");
    switch (header.version) {
        case _LINUX_CAPABILITY_VERSION_1:
            line.put("_LINUX_CAPABILITY_VERSION_1");
            break;
        case _LINUX_CAPABILITY_VERSION_2:
            line.put("_LINUX_CAPABILITY_VERSION_2");
            break;
        case _LINUX_CAPABILITY_VERSION_3:
            line.put("_LINUX_CAPABILITY_VERSION_3");
            break;
        default:
            line.put_hex(header.version);
            line.put(" /* _LINUX_CAPABILITY_VERSION_??? */");
    }
    line.put(", pid=");
    line.put_decimal(header.pid);
    line.put('}');
}

void print_clone_args(Call& call, const struct clone_args& args) {
    Line& line = call.line;
    const auto pointer = [&](std::string_view name, uint64_t address) {
        line.put(name);
        line.put_pointer(address);
    };
    line.put("{flags=");
    put_flags(line, args.flags, tables::clone_flags);
    if (args.flags & CLONE_PIDFD) pointer(", pidfd=", args.pidfd);
    if (args.flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) {
        pointer(", child_tid=", args.child_tid);
    }
    if (args.flags & CLONE_PARENT_SETTID) pointer(", parent_tid=", args.parent_tid);
    line.put(", exit_signal=");
    put_signal(line, static_cast<int64_t>(args.exit_signal));
    pointer(", stack=", args.stack);
    line.put(", stack_size=");
    line.put_hex(args.stack_size);
    if (args.flags & CLONE_SETTLS) pointer(", tls=", args.tls);
    line.put('}');
}

void print_cpu_set(Call& call, uint64_t address, uint64_t size) {
    if (size != 0 && !is_readable<uint8_t>(call, address)) return;
    constexpr uint64_t kMaxSize = 128;  // 1024 CPUs
    size = std::min(size, kMaxSize);
    call.line.put('[');
    bool first = true;
    for (uint64_t i = 0; i < size; ++i) {
        uint8_t byte = 0;
        if (!call.read(byte, address + i)) break;
        for (unsigned bit = 0; bit < 8; ++bit) {
            if (!(byte >> bit & 1)) continue;
            if (!first) call.line.put(' ');
            first = false;
            call.line.put_unsigned(i * 8 + bit);
        }
    }
    call.line.put(']');
}

// The second argument of prctl(2); the others are plain numbers and follow where strace has them.
void print_prctl_arg(Call& call, int64_t value) {
    const auto address = static_cast<uint64_t>(value);
    switch (static_cast<int>(call.arguments[0])) {
        case PR_SET_NAME:
        case PR_GET_NAME: {
            constexpr size_t kNameSize = 16;
            char name[kNameSize] = {};
            if (call.failed() || address == 0 || call.memory.read(name, address, kNameSize) == 0) {
                call.line.put_pointer(address);
                break;
            }
            std::string_view text(name, kNameSize - 1);
            const size_t end = text.find('\0');
            const bool cut = end == std::string_view::npos;
            call.line.put_quoted(name, cut ? text.size() : end, cut && name[kNameSize - 1] != 0);
            break;
        }
        case PR_SET_PDEATHSIG:
            put_signal(call.line, value);
            break;
        case PR_SET_DUMPABLE:
            put_one_of(call.line, address, tables::dumpable);
            break;
        case PR_CAPBSET_READ:
        case PR_CAPBSET_DROP:
            put_one_of(call.line, address, tables::capabilities);
            break;
        case PR_SET_KEEPCAPS:
        case PR_SET_NO_NEW_PRIVS:
        case PR_SET_TIMERSLACK:
        case PR_SET_CHILD_SUBREAPER:
        case PR_SET_THP_DISABLE:
            call.line.put_unsigned(address);
            break;
        case PR_GET_PDEATHSIG: {
            int signo = 0;
            if (!call.failed() && call.read(signo, address)) {
                call.line.put('[');
                put_signal(call.line, signo);
                call.line.put(']');
                break;
            }
            call.line.put_pointer(address);
            break;
        }
        default:
            call.line.put_hex(address);
    }
}

void print_prctl_result(Call& call, int64_t value) {
    call.line.put_decimal(value);
    if (call.arguments[0] == PR_GET_DUMPABLE) {
        call.line.put(" (");
        put_one_of(call.line, static_cast<uint64_t>(value), tables::dumpable);
        call.line.put(')');
    }
}

}  // namespace coracle::trace
