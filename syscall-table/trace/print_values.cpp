// Numbers, modes, descriptors and flags that need more than a table.
#include <asm/prctl.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {

void print_decimal(Call& call, int64_t value) {
    call.line.put_decimal(value);
}
void print_unsigned(Call& call, int64_t value) {
    call.line.put_unsigned(static_cast<uint64_t>(value));
}
void print_hex(Call& call, int64_t value) {
    call.line.put_hex(static_cast<uint64_t>(value));
}
void print_pointer(Call& call, int64_t value) {
    call.line.put_pointer(static_cast<uint64_t>(value));
}
void print_noreturn(Call& call, int64_t) {
    call.line.put('?');
}

void print_dirfd(Call& call, int64_t value) {
    if (value == AT_FDCWD) {
        call.line.put("AT_FDCWD");
    } else {
        call.line.put_decimal(value);
    }
}

void print_id(Call& call, int64_t value) {
    if (static_cast<uint32_t>(value) == UINT32_MAX) {
        call.line.put("-1");
    } else {
        call.line.put_unsigned(static_cast<uint32_t>(value));
    }
}

void print_octal(Call& call, int64_t value) {
    call.line.put_octal(static_cast<uint64_t>(value));
}

void print_mode(Call& call, int64_t value) {
    call.line.put_octal3(static_cast<uint64_t>(value));
}

void print_file_mode(Call& call, int64_t value) {
    const auto mode = static_cast<uint64_t>(value);
    const char* type = tables::file_types.find(mode & S_IFMT);
    if (type) {
        call.line.put(type);
        if (mode & S_ISUID) call.line.put("|S_ISUID");
        if (mode & S_ISGID) call.line.put("|S_ISGID");
        if (mode & S_ISVTX) call.line.put("|S_ISVTX");
        call.line.put('|');
        call.line.put_octal3(mode & 0777);
    } else {
        call.line.put_octal3(mode);
    }
}

void print_device(Call& call, int64_t value) {
    const uint64_t device = static_cast<uint64_t>(value);
    call.line.put("makedev(");
    call.line.put_hex(major(device));
    call.line.put(", ");
    call.line.put_hex(minor(device));
    call.line.put(')');
}

void print_open_flags(Call& call, int64_t value) {
    static constexpr const char* kModes[] = {"O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE"};
    call.line.put(kModes[value & O_ACCMODE]);
    put_more_flags(call.line, static_cast<uint32_t>(value) & ~uint32_t{O_ACCMODE},
                   tables::open_flags);
}

// mknod's; the mode of open, which is not an argument without O_CREAT or O_TMPFILE, is left out by
// format.cpp.
void print_create_mode(Call& call, int64_t value) {
    print_mode(call, value);
}

void print_access_mode(Call& call, int64_t value) {
    put_flags(call.line, static_cast<uint32_t>(value), tables::access_modes);
}

void print_map_flags(Call& call, int64_t value) {
    const auto map_flags = static_cast<uint32_t>(value);
    constexpr uint32_t kHugeSizeMask = 0x3fu << MAP_HUGE_SHIFT;
    put_one_of(call.line, map_flags & MAP_TYPE, tables::map_types);
    put_more_flags(call.line, map_flags & ~kHugeSizeMask & ~uint32_t{MAP_TYPE}, tables::map_flags);
    if (map_flags & kHugeSizeMask) {
        call.line.put('|');
        call.line.put_unsigned((map_flags & kHugeSizeMask) >> MAP_HUGE_SHIFT);
        call.line.put("<<MAP_HUGE_SHIFT");
    }
}

void print_mremap_addr(Call& call, int64_t value) {
    print_pointer(call, value);
}

void print_clone_flags(Call& call, int64_t value) {
    const auto clone_flags = static_cast<uint64_t>(value) & ~uint64_t{CSIGNAL};
    const int signo = static_cast<int>(value & CSIGNAL);
    if (clone_flags != 0 || signo == 0) put_flags(call.line, clone_flags, tables::clone_flags);
    if (signo == 0) return;
    if (clone_flags != 0) call.line.put('|');
    put_signal(call.line, signo);
}

void print_personality(Call& call, int64_t value) {
    const auto persona = static_cast<uint32_t>(value);
    if (call.returned) {
        call.line.put_hex(persona);
        call.line.put(" (");
        put_one_of(call.line, persona & PER_MASK, tables::personalities);
        put_more_flags(call.line, persona & ~uint32_t{PER_MASK}, tables::personality_flags);
        call.line.put(')');
    } else if (persona == UINT32_MAX) {
        call.line.put_hex(persona);
    } else {
        put_one_of(call.line, persona & PER_MASK, tables::personalities);
        put_more_flags(call.line, persona & ~uint32_t{PER_MASK}, tables::personality_flags);
    }
}

void print_statx_flags(Call& call, int64_t value) {
    const auto at_flags = static_cast<uint32_t>(value);
    put_one_of(call.line, at_flags & AT_STATX_SYNC_TYPE, tables::statx_sync_types);
    put_more_flags(call.line, at_flags & ~uint32_t{AT_STATX_SYNC_TYPE}, tables::at_flags);
}

void print_membarrier_result(Call& call, int64_t value) {
    constexpr uint64_t kQuery = 0;
    if (call.arguments[0] != kQuery || value == 0) {
        call.line.put_decimal(value);
        return;
    }
    call.line.put_hex(static_cast<uint64_t>(value));
    call.line.put(" (");
    put_flags(call.line, static_cast<uint64_t>(value), tables::membarrier_commands);
    call.line.put(')');
}

void print_clock_id(Call& call, int64_t value) {
    if (value >= 0) {
        put_one_of(call.line, static_cast<uint64_t>(value), tables::clock_ids);
        return;
    }
    // The clock of a process or thread (clock_getcpuclockid(3)).
    static constexpr const char* kKinds[] = {"CPUCLOCK_PROF", "CPUCLOCK_VIRT", "CPUCLOCK_SCHED"};
    const auto kind = static_cast<unsigned>(value & 3);
    if (kind == 3) {
        call.line.put("FD_TO_CLOCKID(");
        call.line.put_decimal(~(value >> 3));
        call.line.put(')');
        return;
    }
    call.line.put(value & 4 ? "MAKE_THREAD_CPUCLOCK(" : "MAKE_PROCESS_CPUCLOCK(");
    call.line.put_decimal(~(value >> 3));
    call.line.put(", ");
    call.line.put(kKinds[kind]);
    call.line.put(')');
}

void print_socket_type(Call& call, int64_t value) {
    const auto type = static_cast<uint32_t>(value);
    constexpr uint32_t kFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
    put_one_of(call.line, type & 0xf, tables::socket_types);
    if (type & ~0xfu) {
        call.line.put('|');
        put_flags(call.line, type & kFlags, tables::socket_flags);
    }
}

void print_socket_protocol(Call& call, int64_t value) {
    const auto protocol = static_cast<uint32_t>(value);
    switch (call.arguments[0]) {
        case AF_INET:
        case AF_INET6:
            put_one_of(call.line, protocol, tables::ip_protocols);
            break;
        case AF_NETLINK:
            put_one_of(call.line, protocol, tables::netlink_protocols);
            break;
        default:
            call.line.put_decimal(value);
    }
}

void print_socket_option(Call& call, int64_t value) {
    const auto option = static_cast<uint32_t>(value);
    switch (static_cast<int>(call.arguments[1])) {
        case SOL_SOCKET:
            put_one_of(call.line, option, tables::socket_options);
            break;
        case IPPROTO_TCP:
            put_one_of(call.line, option, tables::tcp_options);
            break;
        case IPPROTO_IP:
            put_one_of(call.line, option, tables::ip_options);
            break;
        case IPPROTO_IPV6:
            put_one_of(call.line, option, tables::ipv6_options);
            break;
        case IPPROTO_UDP:
        case IPPROTO_UDPLITE:
            put_one_of(call.line, option, tables::udp_options);
            break;
        case SOL_RAW:
            put_one_of(call.line, option, tables::raw_options);
            break;
        case IPPROTO_ICMPV6:
            put_one_of(call.line, option, tables::icmpv6_options);
            break;
        case SOL_PACKET:
            put_one_of(call.line, option, tables::packet_options);
            break;
        case SOL_NETLINK:
            put_one_of(call.line, option, tables::netlink_options);
            break;
        default:
            call.line.put_decimal(value);
    }
}

void print_sched_policy_result(Call& call, int64_t value) {
    call.line.put_decimal(value);
    call.line.put(" (");
    put_one_of(call.line, static_cast<uint64_t>(value), tables::sched_policies);
    call.line.put(')');
}

namespace {
void put_wait_status(Line& line, int status) {
    if (WIFSTOPPED(status)) {
        line.put("{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        put_signal(line, WSTOPSIG(status));
    } else if (WIFSIGNALED(status)) {
        line.put("{WIFSIGNALED(s) && WTERMSIG(s) == ");
        put_signal(line, WTERMSIG(status));
        if (WCOREDUMP(status)) line.put(" && WCOREDUMP(s)");
    } else if (WIFEXITED(status)) {
        line.put("{WIFEXITED(s) && WEXITSTATUS(s) == ");
        line.put_decimal(WEXITSTATUS(status));
    } else if (WIFCONTINUED(status)) {
        line.put("{WIFCONTINUED(s)");
    } else {
        line.put_hex(static_cast<uint32_t>(status));
        return;
    }
    line.put('}');
}
}  // namespace

void print_wait_status(Call& call, uint64_t address, uint64_t) {
    int status = 0;
    if (call.result <= 0 || !call.read(status, address)) {  // 0: no child has changed (WNOHANG)
        call.line.put_pointer(address);
        return;
    }
    call.line.put('[');
    put_wait_status(call.line, status);
    call.line.put(']');
}

void print_arch_prctl_arg(Call& call, int64_t value) {
    const auto option = static_cast<int>(call.arguments[0]);
    uint64_t base = 0;
    if ((option == ARCH_GET_FS || option == ARCH_GET_GS) && !call.failed() &&
        call.read(base, static_cast<uint64_t>(value))) {
        call.line.put('[');
        call.line.put_hex(base);
        call.line.put(']');
    } else {
        call.line.put_hex(static_cast<uint64_t>(value));
    }
}

}  // namespace coracle::trace
