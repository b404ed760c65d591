// Signal numbers, sets, actions and siginfo.
#include "libposix/signals/signal_abi.h"
#include "syscall-table/abi.h"
#include "syscall-table/trace/printers.h"

namespace coracle::trace {

void print_signal(Call& call, int64_t value) {
    put_signal(call.line, value);
}

void print_signal_result(Call& call, int64_t value) {
    call.line.put_decimal(value);
    if (value == 0) return;
    call.line.put(" (");
    put_signal(call.line, value);
    call.line.put(')');
}

void print_sigset(Call& call, const uint64_t& set) {
    // A set that is more than two thirds full is told by what it lacks.
    int size = 0;
    for (uint64_t rest = set; rest != 0; rest &= rest - 1) ++size;
    const bool inverted = size > kSignalCount * 2 / 3;
    uint64_t members = inverted ? ~set : set;
    if (inverted) call.line.put('~');
    call.line.put('[');
    bool first = true;
    for (int signo = 1; signo <= kSignalCount; ++signo, members >>= 1) {
        if (!(members & 1)) continue;
        if (!first) call.line.put(' ');
        first = false;
        put_short_signal(call.line, signo);
    }
    call.line.put(']');
}

void print_sigset_and_size(Call& call, const SigsetAndSize& argument) {
    uint64_t set = 0;
    call.line.put("{sigmask=");
    if (call.read(set, argument.set)) {
        print_sigset(call, set);
    } else {
        call.line.put_pointer(argument.set);
    }
    call.line.put(", sigsetsize=");
    call.line.put_unsigned(argument.size);
    call.line.put('}');
}

void print_sigaction(Call& call, const SignalAction& action) {
    Line& line = call.line;
    line.put("{sa_handler=");
    if (action.handler == kSigDfl) {
        line.put("SIG_DFL");
    } else if (action.handler == kSigIgn) {
        line.put("SIG_IGN");
    } else {
        line.put_hex(action.handler);
    }
    line.put(", sa_mask=");
    print_sigset(call, action.mask);
    line.put(", sa_flags=");
    put_flags(line, action.flags, tables::sigaction_flags);
    if (action.flags & kSaRestorer) {
        line.put(", sa_restorer=");
        line.put_pointer(action.restorer);
    }
    line.put('}');
}

void print_sigaltstack(Call& call, const AlternateStack& stack) {
    call.line.put("{ss_sp=");
    call.line.put_pointer(stack.base);
    call.line.put(", ss_flags=");
    put_flags(call.line, static_cast<uint32_t>(stack.flags), tables::sigaltstack_flags);
    call.line.put(", ss_size=");
    call.line.put_unsigned(stack.size);
    call.line.put('}');
}

namespace {

const ConstantTable& codes_of(int signo) {
    switch (signo) {
        case kSigIll:
            return tables::si_codes_ill;
        case kSigFpe:
            return tables::si_codes_fpe;
        case kSigSegv:
            return tables::si_codes_segv;
        case kSigBus:
            return tables::si_codes_bus;
        case kSigTrap:
            return tables::si_codes_trap;
        case kSigChld:
            return tables::si_codes_chld;
        default:
            return tables::si_codes;
    }
}

void put_value(Line& line, uint64_t value) {
    line.put(", si_value={sival_int=");
    line.put_decimal(static_cast<int32_t>(value));
    line.put(", sival_ptr=");
    line.put_pointer(value);
    line.put('}');
}

void put_sender(Line& line, const SignalInfo::Kill& kill) {
    line.put(", si_pid=");
    line.put_decimal(kill.pid);
    line.put(", si_uid=");
    line.put_unsigned(kill.uid);
}

void put_code_and_sender(Line& line, const SignalInfo& info) {
    const auto code = static_cast<uint32_t>(info.code);
    const char* name = tables::si_codes.find(code);
    if (!name) name = codes_of(info.signo).find(code);
    if (name) {
        line.put(name);
    } else {
        line.put_hex(code);
    }
    if (info.error != 0) {
        line.put(", si_errno=");
        line.put_decimal(info.error);
    }
    switch (info.code) {
        case kSiUser:
        case kSiTkill:
            put_sender(line, info.kill);
            return;
        case kSiKernel:
            return;
        case kSiTimer:
            line.put(", si_timerid=");
            line.put_hex(static_cast<uint32_t>(info.timer.id));
            line.put(", si_overrun=");
            line.put_decimal(info.timer.overrun);
            put_value(line, info.timer.value);
            return;
        default:
            break;
    }
    if (info.code < 0) {
        put_sender(line, info.kill);
        put_value(line, info.kill.value);
        return;
    }
    switch (info.signo) {
        case kSigIll:
        case kSigFpe:
        case kSigSegv:
        case kSigBus:
        case kSigTrap:
            line.put(", si_addr=");
            line.put_pointer(info.fault.address);
            break;
        case kSigChld:
            line.put(", si_pid=");
            line.put_decimal(info.child.pid);
            line.put(", si_uid=");
            line.put_unsigned(info.child.uid);
            line.put(", si_status=");
            if (info.code == kCldExited) {
                line.put_decimal(info.child.status);
            } else {
                put_signal(line, info.child.status);
            }
            line.put(", si_utime=");
            line.put_decimal(info.child.user_ticks);
            line.put(", si_stime=");
            line.put_decimal(info.child.system_ticks);
            break;
        default:
            break;
    }
}

}  // namespace

void put_siginfo(Line& line, const SignalInfo& info) {
    if (info.signo == 0) {
        line.put("{}");
        return;
    }
    line.put("{si_signo=");
    put_signal(line, info.signo);
    line.put(", si_code=");
    put_code_and_sender(line, info);
    line.put('}');
}

void print_siginfo(Call& call, const SignalInfo& info) {
    put_siginfo(call.line, info);
}

}  // namespace coracle::trace
