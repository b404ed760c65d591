// Our structures against the C library's, which are Linux's.
#include <gtest/gtest.h>
#include <signal.h>
#include <ucontext.h>

#include <cstddef>

#include "libposix/signals/default_action.h"
#include "libposix/signals/signal_abi.h"
#include "libposix/signals/signal_frame.h"
#include "libposix/signals/signal_names.h"
#include "libposix/signals/signal_state.h"

namespace coracle {
namespace {

template <typename T>
size_t offset_in(const siginfo_t& info, const T& member) {
    return static_cast<size_t>(reinterpret_cast<const char*>(&member) -
                               reinterpret_cast<const char*>(&info));
}

TEST(SignalAbi, InfoLayout) {
    siginfo_t info = {};
    EXPECT_EQ(sizeof(siginfo_t), sizeof(SignalInfo));
    EXPECT_EQ(offset_in(info, info.si_errno), offsetof(SignalInfo, error));
    EXPECT_EQ(offset_in(info, info.si_code), offsetof(SignalInfo, code));
    EXPECT_EQ(offset_in(info, info.si_pid), offsetof(SignalInfo, kill.pid));
    EXPECT_EQ(offset_in(info, info.si_uid), offsetof(SignalInfo, kill.uid));
    EXPECT_EQ(offset_in(info, info.si_value), offsetof(SignalInfo, kill.value));
    EXPECT_EQ(offset_in(info, info.si_addr), offsetof(SignalInfo, fault.address));
    EXPECT_EQ(offset_in(info, info.si_status), offsetof(SignalInfo, child.status));
    EXPECT_EQ(offset_in(info, info.si_utime), offsetof(SignalInfo, child.user_ticks));
    EXPECT_EQ(offset_in(info, info.si_band), offsetof(SignalInfo, poll.band));
    EXPECT_EQ(offset_in(info, info.si_fd), offsetof(SignalInfo, poll.descriptor));
    EXPECT_EQ(offset_in(info, info.si_overrun), offsetof(SignalInfo, timer.overrun));
    EXPECT_EQ(offset_in(info, info.si_syscall), offsetof(SignalInfo, syscall.number));
}

TEST(SignalAbi, ContextLayout) {
    EXPECT_EQ(offsetof(ucontext_t, uc_mcontext), offsetof(UserContext, registers));
    EXPECT_EQ(offsetof(ucontext_t, uc_sigmask), offsetof(UserContext, blocked));
    EXPECT_EQ(offsetof(ucontext_t, uc_stack), offsetof(UserContext, stack));
    EXPECT_EQ(REG_RIP * 8, offsetof(SignalContext, rip));
    EXPECT_EQ(REG_RSP * 8, offsetof(SignalContext, rsp));
    EXPECT_EQ(REG_R15 * 8, offsetof(SignalContext, r15));
    EXPECT_EQ(REG_EFL * 8, offsetof(SignalContext, rflags));
    EXPECT_EQ(REG_TRAPNO * 8, offsetof(SignalContext, trap_number));
    EXPECT_EQ(REG_CR2 * 8, offsetof(SignalContext, fault_address));
    EXPECT_EQ(offsetof(mcontext_t, fpregs), offsetof(SignalContext, extended_state));
    EXPECT_EQ(sizeof(stack_t), sizeof(AlternateStack));
    EXPECT_EQ(offsetof(stack_t, ss_size), offsetof(AlternateStack, size));
}

TEST(SignalAbi, NumbersAndNames) {
    EXPECT_EQ(SIGSEGV, kSigSegv);
    EXPECT_EQ(SIGSYS, kSigSys);
    EXPECT_EQ("SIGSEGV", signal_name(SIGSEGV));
    EXPECT_EQ("SIGPWR", signal_name(SIGPWR));
    EXPECT_EQ("", signal_name(40));
    EXPECT_EQ("SEGV_ACCERR", signal_code_name(SIGSEGV, SEGV_ACCERR));
    EXPECT_EQ("FPE_FLTINV", signal_code_name(SIGFPE, FPE_FLTINV));
    EXPECT_EQ("", signal_code_name(SIGSEGV, 99));
}

TEST(SignalAbi, DefaultActions) {
    EXPECT_EQ(DefaultAction::kCoreDump, default_action(SIGSEGV));
    EXPECT_EQ(DefaultAction::kCoreDump, default_action(SIGQUIT));
    EXPECT_EQ(DefaultAction::kTerminate, default_action(SIGTERM));
    EXPECT_EQ(DefaultAction::kTerminate, default_action(kSigRtMin + 3));
    EXPECT_EQ(DefaultAction::kIgnore, default_action(SIGCHLD));
    EXPECT_EQ(DefaultAction::kStop, default_action(SIGTSTP));
    EXPECT_TRUE(is_ignored(SIGWINCH, kSigDfl));
    EXPECT_TRUE(is_ignored(SIGTERM, kSigIgn));
    EXPECT_FALSE(is_ignored(SIGTERM, kSigDfl));
    EXPECT_FALSE(is_ignored(SIGCHLD, 0x400000));
}

TEST(SignalAbi, ExecKeepsIgnoredSignalsOnly) {
    auto actions = adopt_ref(new SignalActions);
    (*actions)[SIGINT].handler = kSigIgn;
    (*actions)[SIGINT].flags = kSaRestart;
    (*actions)[SIGTERM].handler = 0x1234;
    actions->reset_for_exec();
    EXPECT_EQ(kSigIgn, (*actions)[SIGINT].handler);
    EXPECT_EQ(0u, (*actions)[SIGINT].flags);
    EXPECT_EQ(kSigDfl, (*actions)[SIGTERM].handler);
}

}  // namespace
}  // namespace coracle
