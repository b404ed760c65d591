#include "libposix/signals/signal_names.h"

namespace coracle {
namespace {

constexpr std::string_view kSignalNames[] = {
    "",        "SIGHUP",    "SIGINT",  "SIGQUIT", "SIGILL",    "SIGTRAP", "SIGABRT", "SIGBUS",
    "SIGFPE",  "SIGKILL",   "SIGUSR1", "SIGSEGV", "SIGUSR2",   "SIGPIPE", "SIGALRM", "SIGTERM",
    "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP",   "SIGTTIN", "SIGTTOU", "SIGURG",
    "SIGXCPU", "SIGXFSZ",   "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO",  "SIGPWR",  "SIGSYS"};
constexpr std::string_view kFpeNames[] = {"", "FPE_INTDIV", "FPE_INTOVF", "FPE_FLTDIV",
                                          "FPE_FLTOVF", "FPE_FLTUND", "FPE_FLTRES", "FPE_FLTINV"};
constexpr std::string_view kSegvNames[] = {"", "SEGV_MAPERR", "SEGV_ACCERR", "SEGV_BNDERR"};
constexpr std::string_view kBusNames[] = {"", "BUS_ADRALN", "BUS_ADRERR", "BUS_OBJERR"};
constexpr std::string_view kIllNames[] = {"", "ILL_ILLOPC", "ILL_ILLOPN"};
constexpr std::string_view kTrapNames[] = {"", "TRAP_BRKPT", "TRAP_TRACE"};

template <size_t kCount>
std::string_view pick(const std::string_view (&names)[kCount], int index) {
    if (index < 0 || static_cast<size_t>(index) >= kCount) return {};
    return names[index];
}

}  // namespace

std::string_view signal_name(int signo) { return pick(kSignalNames, signo); }

std::string_view signal_code_name(int signo, int code) {
    switch (code) {
        case kSiUser:
            return "sent by kill";
        case kSiTkill:
            return "sent by itself";
        case kSiQueue:
            return "sent by sigqueue";
        case kSiKernel:
            return "sent by the kernel";
    }
    switch (signo) {
        case kSigFpe:
            return pick(kFpeNames, code);
        case kSigSegv:
            return pick(kSegvNames, code);
        case kSigBus:
            return pick(kBusNames, code);
        case kSigIll:
            return pick(kIllNames, code);
        case kSigTrap:
            return pick(kTrapNames, code);
        default:
            return {};
    }
}

}  // namespace coracle
