// rt_sigaction, rt_sigprocmask, rt_sigpending, sigaltstack: what is set up, and the errors.
#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

// The kernel's own structure: glibc's differs.
struct KernelAction {
    void (*handler)(int) = SIG_DFL;
    unsigned long flags = 0;
    void (*restorer)() = nullptr;
    unsigned long mask = 0;
};

long raw_action(int signo, const void* action, void* old, size_t size = 8) {
    return syscall(SYS_rt_sigaction, signo, action, old, size);
}

volatile int handled;
void count(int) { handled = handled + 1; }

class SignalsAction : public ::testing::Test {
  protected:
    void SetUp() override { handled = 0; }
    void TearDown() override {
        for (int signo : {SIGUSR1, SIGUSR2, SIGALRM, SIGRTMIN}) signal(signo, SIG_DFL);
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, nullptr);
    }
};

TEST_F(SignalsAction, AnswersWhatWasSet) {
    struct sigaction action = {}, old = {};
    action.sa_handler = count;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGUSR2);
    action.sa_flags = SA_RESTART | SA_NODEFER;
    ASSERT_EQ(0, sigaction(SIGUSR1, &action, nullptr));
    ASSERT_EQ(0, sigaction(SIGUSR1, nullptr, &old));
    EXPECT_EQ(count, old.sa_handler);
    EXPECT_TRUE(sigismember(&old.sa_mask, SIGUSR2));
    EXPECT_FALSE(sigismember(&old.sa_mask, SIGUSR1));
    EXPECT_EQ(SA_RESTART | SA_NODEFER, old.sa_flags & ~0x04000000);
}

TEST_F(SignalsAction, DropsUnknownFlagsAndUnblockableSignals) {
    KernelAction action, old;
    action.flags = ~0ul;
    action.mask = ~0ul;
    action.handler = SIG_IGN;
    ASSERT_EQ(0, raw_action(SIGUSR1, &action, nullptr));
    ASSERT_EQ(0, raw_action(SIGUSR1, nullptr, &old));
    EXPECT_EQ(0u, old.flags & 0x400) << "SA_UNSUPPORTED must read back as 0";
    EXPECT_NE(0u, old.flags & SA_SIGINFO);
    EXPECT_EQ(0u, old.mask & (1ul << (SIGKILL - 1)));
    EXPECT_EQ(0u, old.mask & (1ul << (SIGSTOP - 1)));
    EXPECT_NE(0u, old.mask & (1ul << (SIGUSR2 - 1)));
}

TEST_F(SignalsAction, RefusesBadArguments) {
    KernelAction action, old;
    for (int signo : {0, -1, 65, 1000}) {
        EXPECT_EQ(-1, raw_action(signo, &action, nullptr)) << signo;
        EXPECT_EQ(EINVAL, errno);
    }
    for (int signo : {SIGKILL, SIGSTOP}) {
        EXPECT_EQ(-1, raw_action(signo, &action, nullptr));
        EXPECT_EQ(EINVAL, errno);
        EXPECT_EQ(0, raw_action(signo, nullptr, &old));
    }
    EXPECT_EQ(-1, raw_action(SIGUSR1, &action, nullptr, 4));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, raw_action(SIGUSR1, reinterpret_cast<void*>(1), nullptr));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, raw_action(SIGUSR1, nullptr, reinterpret_cast<void*>(1)));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, raw_action(SIGUSR1, reinterpret_cast<void*>(0xffff800000000000), nullptr));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(SignalsAction, IgnoringForgetsWhatIsPending) {
    sigset_t set, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGUSR1, count);
    raise(SIGUSR1);
    sigpending(&pending);
    EXPECT_TRUE(sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    sigpending(&pending);
    EXPECT_FALSE(sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, count);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    EXPECT_EQ(0, handled);
}

TEST_F(SignalsAction, MaskBlocksAndUnblocks) {
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, count);
    ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, nullptr));
    raise(SIGUSR1);
    raise(SIGUSR1);
    EXPECT_EQ(0, handled);
    sigset_t nothing;
    sigemptyset(&nothing);
    ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &nothing, &old));
    EXPECT_TRUE(sigismember(&old, SIGUSR1));
    ASSERT_EQ(0, sigprocmask(SIG_UNBLOCK, &set, nullptr));
    EXPECT_EQ(1, handled) << "a standard signal waits but once, and is taken at once";
}

TEST_F(SignalsAction, MaskRefusesBadArguments) {
    unsigned long set = 0;
    EXPECT_EQ(-1, syscall(SYS_rt_sigprocmask, 77, &set, nullptr, 8));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, syscall(SYS_rt_sigprocmask, 77, nullptr, &set, 8)) << "how is not looked at";
    EXPECT_EQ(-1, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, nullptr, 16));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigprocmask, SIG_SETMASK, 8, nullptr, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigprocmask, SIG_SETMASK, nullptr, 8, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(SignalsAction, KillAndStopCannotBeBlocked) {
    unsigned long all = ~0ul, now = 0, none = 0;
    ASSERT_EQ(0, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, 8));
    ASSERT_EQ(0, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, &now, 8));
    EXPECT_EQ(~0ul & ~(1ul << (SIGKILL - 1)) & ~(1ul << (SIGSTOP - 1)), now);
}

TEST_F(SignalsAction, PendingChecksItsSize) {
    unsigned long set = ~0ul;
    EXPECT_EQ(-1, syscall(SYS_rt_sigpending, &set, 9));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, syscall(SYS_rt_sigpending, &set, 4));
    EXPECT_EQ(0xffffffff00000000ul, set);
    EXPECT_EQ(-1, syscall(SYS_rt_sigpending, 8, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(SignalsAction, AlternateStackRules) {
    stack_t old = {}, stack = {};
    ASSERT_EQ(0, sigaltstack(nullptr, &old));
    EXPECT_EQ(SS_DISABLE, old.ss_flags);

    alignas(16) static char memory[64 * 1024];
    stack.ss_sp = memory;
    stack.ss_size = 100;
    EXPECT_EQ(-1, sigaltstack(&stack, nullptr));
    EXPECT_EQ(ENOMEM, errno);
    stack.ss_size = sizeof(memory);
    stack.ss_flags = 17;
    EXPECT_EQ(-1, sigaltstack(&stack, nullptr));
    EXPECT_EQ(EINVAL, errno);
    stack.ss_flags = SS_ONSTACK;
    EXPECT_EQ(0, sigaltstack(&stack, nullptr)) << "SS_ONSTACK is taken, and means nothing";
    ASSERT_EQ(0, sigaltstack(nullptr, &old));
    EXPECT_EQ(0, old.ss_flags);
    EXPECT_EQ(memory, old.ss_sp);
    EXPECT_EQ(sizeof(memory), old.ss_size);
    EXPECT_EQ(-1, syscall(SYS_sigaltstack, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
    stack.ss_flags = SS_DISABLE;
    ASSERT_EQ(0, sigaltstack(&stack, &old));
    ASSERT_EQ(0, sigaltstack(nullptr, &old));
    EXPECT_EQ(SS_DISABLE, old.ss_flags);
    EXPECT_EQ(0u, old.ss_size);
}

}  // namespace

