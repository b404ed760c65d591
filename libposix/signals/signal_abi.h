// Linux's signal numbers, codes and structures for x86-64 (include/uapi/asm-generic/siginfo.h and
// signal.h of Linux, man 2 sigaction). The names differ from <signal.h>'s, whose macros would
// otherwise rewrite them in host tests.
#pragma once

#include <cstdint>

namespace coracle {

constexpr int kSigHup = 1, kSigInt = 2, kSigQuit = 3, kSigIll = 4, kSigTrap = 5, kSigAbrt = 6,
              kSigBus = 7, kSigFpe = 8, kSigKill = 9, kSigUsr1 = 10, kSigSegv = 11, kSigUsr2 = 12,
              kSigPipe = 13, kSigAlrm = 14, kSigTerm = 15, kSigStkflt = 16, kSigChld = 17,
              kSigCont = 18, kSigStop = 19, kSigTstp = 20, kSigTtin = 21, kSigTtou = 22,
              kSigUrg = 23, kSigXcpu = 24, kSigXfsz = 25, kSigVtalrm = 26, kSigProf = 27,
              kSigWinch = 28, kSigIo = 29, kSigPwr = 30, kSigSys = 31, kSigRtMin = 32;
constexpr int kSignalCount = 64;  // numbers 1..64

// A set of signals: bit (number - 1), as the kernel's 8-byte sigset_t.
using SignalSet = uint64_t;
constexpr SignalSet signal_bit(int signo) { return SignalSet{1} << (signo - 1); }
constexpr bool is_valid_signal(int signo) { return signo >= 1 && signo <= kSignalCount; }
constexpr SignalSet kUnblockableSignals = signal_bit(kSigKill) | signal_bit(kSigStop);

// si_code: who sent it. Positive codes come from the kernel.
constexpr int kSiUser = 0, kSiKernel = 0x80, kSiQueue = -1, kSiTimer = -2, kSiMesgq = -3,
              kSiAsyncio = -4, kSiSigio = -5, kSiTkill = -6;
// si_code of faults, by signal.
constexpr int kIllIllopn = 2;
constexpr int kFpeIntdiv = 1, kFpeIntovf = 2, kFpeFltdiv = 3, kFpeFltovf = 4, kFpeFltund = 5,
              kFpeFltres = 6, kFpeFltinv = 7;
constexpr int kSegvMaperr = 1, kSegvAccerr = 2, kSegvBnderr = 3;
constexpr int kBusAdraln = 1, kBusAdrerr = 2, kBusObjerr = 3;
constexpr int kTrapBrkpt = 1, kTrapTrace = 2;
constexpr int kSysSeccomp = 1;
constexpr int kCldExited = 1, kCldKilled = 2, kCldDumped = 3, kCldTrapped = 4, kCldStopped = 5,
              kCldContinued = 6;
constexpr int kPollIn = 1, kPollOut = 2, kPollMsg = 3, kPollErr = 4, kPollPri = 5, kPollHup = 6;

// siginfo_t.
struct SignalInfo {
    int32_t signo = 0;
    int32_t error = 0;
    int32_t code = 0;
    int32_t padding = 0;
    struct Kill {
        int32_t pid;
        uint32_t uid;
        uint64_t value;  // of sigqueue(3)
    };
    struct Timer {
        int32_t id, overrun;
        uint64_t value;
        int32_t private_data;
    };
    struct Child {
        int32_t pid;
        uint32_t uid;
        int32_t status;
        int32_t padding;
        int64_t user_ticks, system_ticks;
    };
    struct Fault {
        uint64_t address;
        int16_t address_lsb;
    };
    struct Poll {
        int64_t band;
        int32_t descriptor;
    };
    struct Syscall {
        uint64_t call_address;
        int32_t number;
        uint32_t architecture;
    };
    union {
        uint8_t bytes[112] = {};
        Kill kill;
        Timer timer;
        Child child;
        Fault fault;
        Poll poll;
        Syscall syscall;
    };
};
static_assert(sizeof(SignalInfo) == 128);

// sa_handler's special values and sa_flags.
constexpr uint64_t kSigDfl = 0, kSigIgn = 1;
constexpr uint64_t kSaNocldstop = 1, kSaNocldwait = 2, kSaSiginfo = 4, kSaRestorer = 0x04000000,
                   kSaOnstack = 0x08000000, kSaRestart = 0x10000000, kSaNodefer = 0x40000000,
                   kSaResethand = 0x80000000;

// struct kernel_sigaction, as rt_sigaction(2) reads and writes it.
struct SignalAction {
    uint64_t handler = kSigDfl;
    uint64_t flags = 0;
    uint64_t restorer = 0;
    SignalSet mask = 0;
};
static_assert(sizeof(SignalAction) == 32);

// stack_t and its ss_flags (man 2 sigaltstack).
constexpr int32_t kSsOnstack = 1, kSsDisable = 2;
constexpr uint32_t kSsAutodisarm = 1u << 31;
struct AlternateStack {
    uint64_t base = 0;
    int32_t flags = kSsDisable;
    int32_t padding = 0;
    uint64_t size = 0;
};
static_assert(sizeof(AlternateStack) == 24);

}  // namespace coracle
