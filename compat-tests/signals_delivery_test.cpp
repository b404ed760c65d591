// How handlers run: their order, masks, flags and stacks, and what they do to a call that waits.
#include <errno.h>
#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <vector>

#include "when_calm.h"

namespace {

int order[16];
volatile int handled;

void note(int signo) {
    order[handled % 16] = signo;
    handled = handled + 1;
}

void set_handler(int signo, void (*handler)(int), int flags = 0,
                 std::initializer_list<int> also_blocked = {}) {
    struct sigaction action = {};
    action.sa_handler = handler;
    action.sa_flags = flags;
    sigemptyset(&action.sa_mask);
    for (int other : also_blocked) sigaddset(&action.sa_mask, other);
    ASSERT_EQ(0, sigaction(signo, &action, nullptr));
}

void set_info_handler(int signo, void (*handler)(int, siginfo_t*, void*), int flags = 0) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&action.sa_mask);
    ASSERT_EQ(0, sigaction(signo, &action, nullptr));
}

void set_mask(int how, std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signo : signals) sigaddset(&set, signo);
    ASSERT_EQ(0, sigprocmask(how, &set, nullptr));
}

bool is_blocked(int signo) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, nullptr, &now);
    return sigismember(&now, signo);
}

void start_alarm_us(int microseconds, int again_us = 0) {
    const itimerval value = {{0, again_us}, {0, microseconds}};
    ASSERT_EQ(0, setitimer(ITIMER_REAL, &value, nullptr));
}
// Interrupts a call that is about to begin, however long the machine stands still before.
void start_alarms() { start_alarm_us(20'000, 20'000); }

class SignalsDelivery : public ::testing::Test {
  protected:
    void SetUp() override { handled = 0; }
    void TearDown() override {
        itimerval off = {};
        setitimer(ITIMER_REAL, &off, nullptr);
        for (int signo : {SIGUSR1, SIGUSR2, SIGALRM, SIGINT, SIGTERM, SIGCHLD, SIGWINCH}) {
            signal(signo, SIG_DFL);
        }
        set_mask(SIG_SETMASK, {});
    }
};

TEST_F(SignalsDelivery, HandlerGetsTheNumberAndReturns) {
    set_handler(SIGUSR1, note);
    ASSERT_EQ(0, raise(SIGUSR1));
    EXPECT_EQ(1, handled);
    EXPECT_EQ(SIGUSR1, order[0]);
}

TEST_F(SignalsDelivery, SeveralPendingOnesNestLowestOutermost) {
    // Frames are stacked in the order of numbers, so that the last one pushed runs first.
    set_handler(SIGINT, note);
    set_handler(SIGUSR1, note);
    set_handler(SIGUSR2, note);
    set_mask(SIG_BLOCK, {SIGINT, SIGUSR1, SIGUSR2});
    raise(SIGUSR2);
    raise(SIGINT);
    raise(SIGUSR1);
    set_mask(SIG_SETMASK, {});
    ASSERT_EQ(3, handled);
    EXPECT_EQ(SIGUSR2, order[0]);
    EXPECT_EQ(SIGUSR1, order[1]);
    EXPECT_EQ(SIGINT, order[2]);
}

volatile bool own_blocked, other_blocked, third_blocked;
void look_at_mask(int signo) {
    note(signo);
    own_blocked = is_blocked(SIGUSR1);
    other_blocked = is_blocked(SIGUSR2);
    third_blocked = is_blocked(SIGTERM);
}

TEST_F(SignalsDelivery, MaskWhileTheHandlerRuns) {
    set_handler(SIGUSR1, look_at_mask, 0, {SIGUSR2});
    set_mask(SIG_BLOCK, {SIGTERM});
    raise(SIGUSR1);
    EXPECT_TRUE(own_blocked);
    EXPECT_TRUE(other_blocked);
    EXPECT_TRUE(third_blocked);
    EXPECT_FALSE(is_blocked(SIGUSR1));
    EXPECT_FALSE(is_blocked(SIGUSR2));
    EXPECT_TRUE(is_blocked(SIGTERM));

    set_handler(SIGUSR1, look_at_mask, SA_NODEFER);
    raise(SIGUSR1);
    EXPECT_FALSE(own_blocked);
    EXPECT_FALSE(other_blocked);
}

volatile int depth, deepest;
void recurse(int) {
    depth = depth + 1;
    if (depth > deepest) deepest = depth;
    if (depth < 5) raise(SIGUSR1);
    depth = depth - 1;
}

TEST_F(SignalsDelivery, NodeferLetsAHandlerInterruptItself) {
    depth = 0;
    deepest = 0;
    set_handler(SIGUSR1, recurse, SA_NODEFER);
    raise(SIGUSR1);
    EXPECT_EQ(5, deepest);
}

TEST_F(SignalsDelivery, ResethandRunsOnce) {
    set_handler(SIGUSR1, note, static_cast<int>(SA_RESETHAND));
    raise(SIGUSR1);
    EXPECT_EQ(1, handled);
    struct sigaction now = {};
    sigaction(SIGUSR1, nullptr, &now);
    EXPECT_EQ(SIG_DFL, now.sa_handler);
}

siginfo_t seen_info;
void keep_info(int, siginfo_t* info, void*) {
    seen_info = *info;
    handled = handled + 1;
}

TEST_F(SignalsDelivery, InfoTellsTheSender) {
    set_info_handler(SIGUSR1, keep_info);
    kill(getpid(), SIGUSR1);
    EXPECT_EQ(SIGUSR1, seen_info.si_signo);
    EXPECT_EQ(SI_USER, seen_info.si_code);
    EXPECT_EQ(getpid(), seen_info.si_pid);
    EXPECT_EQ(getuid(), seen_info.si_uid);
    EXPECT_EQ(0, seen_info.si_errno);

    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1);
    EXPECT_EQ(SI_TKILL, seen_info.si_code);
    EXPECT_EQ(getpid(), seen_info.si_pid);

    sigval value;
    value.sival_ptr = reinterpret_cast<void*>(0x1122334455667788);
    ASSERT_EQ(0, sigqueue(getpid(), SIGUSR1, value));
    EXPECT_EQ(SI_QUEUE, seen_info.si_code);
    EXPECT_EQ(value.sival_ptr, seen_info.si_value.sival_ptr);

    set_info_handler(SIGALRM, keep_info);
    const int before = handled;
    start_alarm_us(1000);
    while (handled == before) {
    }
    EXPECT_EQ(SIGALRM, seen_info.si_signo);
    EXPECT_EQ(SI_KERNEL, seen_info.si_code);
}

TEST_F(SignalsDelivery, BrokenPipeLooksLikeOnesOwnSignal) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    close(ends[0]);
    set_info_handler(SIGPIPE, keep_info);
    EXPECT_EQ(-1, write(ends[1], "x", 1));
    EXPECT_EQ(EPIPE, errno);
    signal(SIGPIPE, SIG_DFL);
    EXPECT_EQ(SIGPIPE, seen_info.si_signo);
    EXPECT_EQ(SI_USER, seen_info.si_code);
    EXPECT_EQ(getpid(), seen_info.si_pid);
    close(ends[1]);
}

TEST_F(SignalsDelivery, ReadOfAPipeRestartsOnlyIfAsked) {
    static int ends[2];
    ASSERT_EQ(0, pipe(ends));
    struct Fill {
        static void handler(int) {
            handled = handled + 1;
            EXPECT_EQ(1, write(ends[1], "y", 1));
        }
    };
    char byte = 0;
    set_handler(SIGALRM, Fill::handler, SA_RESTART);
    start_alarm_us(20'000);
    EXPECT_EQ(1, read(ends[0], &byte, 1)) << "read again, after the handler wrote";
    EXPECT_EQ('y', byte);
    EXPECT_EQ(1, handled);

    set_handler(SIGALRM, note);
    start_alarms();
    EXPECT_EQ(-1, read(ends[0], &byte, 1));
    EXPECT_EQ(EINTR, errno);
    close(ends[0]);
    close(ends[1]);
}

TEST_F(SignalsDelivery, IgnoredSignalsLeaveNoTrace) {
    set_mask(SIG_BLOCK, {});
    raise(SIGCHLD);
    raise(SIGWINCH);
    raise(SIGURG);
    raise(SIGCONT);
    signal(SIGTERM, SIG_IGN);
    raise(SIGTERM);
    sigset_t pending;
    sigpending(&pending);
    for (int signo = 1; signo < 65; signo++) EXPECT_NE(1, sigismember(&pending, signo)) << signo;
    EXPECT_EQ(0, handled);
}

TEST_F(SignalsDelivery, StopAndContinueCancelEachOther) {
    set_mask(SIG_BLOCK, {SIGTSTP, SIGCONT});
    sigset_t pending;
    raise(SIGTSTP);
    sigpending(&pending);
    EXPECT_TRUE(sigismember(&pending, SIGTSTP));
    raise(SIGCONT);
    sigpending(&pending);
    EXPECT_FALSE(sigismember(&pending, SIGTSTP));
    EXPECT_TRUE(sigismember(&pending, SIGCONT));
    raise(SIGTSTP);
    sigpending(&pending);
    EXPECT_FALSE(sigismember(&pending, SIGCONT));
    raise(SIGCONT);
    set_mask(SIG_SETMASK, {});
}

TEST_F(SignalsDelivery, SuspendSwapsTheMask) {
    set_handler(SIGUSR1, look_at_mask);
    set_mask(SIG_BLOCK, {SIGUSR1, SIGTERM});
    raise(SIGUSR1);
    sigset_t during;
    sigemptyset(&during);
    sigaddset(&during, SIGUSR2);
    EXPECT_EQ(-1, sigsuspend(&during));
    EXPECT_EQ(EINTR, errno);
    EXPECT_EQ(1, handled);
    EXPECT_TRUE(other_blocked) << "the handler runs with the mask of the call";
    EXPECT_FALSE(third_blocked);
    EXPECT_TRUE(is_blocked(SIGUSR1));
    EXPECT_TRUE(is_blocked(SIGTERM));
    EXPECT_FALSE(is_blocked(SIGUSR2));
}

TEST_F(SignalsDelivery, SuspendRefusesBadArguments) {
    unsigned long set = 0;
    EXPECT_EQ(-1, syscall(SYS_rt_sigsuspend, &set, 4));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigsuspend, 8, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(SignalsDelivery, PauseAndSleepEndWithEintrEvenWithRestart) {
    set_handler(SIGALRM, note, SA_RESTART);
    start_alarms();
    EXPECT_EQ(-1, pause());
    EXPECT_EQ(EINTR, errno);
    EXPECT_GE(handled, 1);

    const int before = handled;
    const timespec request = {60, 0};
    EXPECT_EQ(-1, nanosleep(&request, nullptr));
    EXPECT_EQ(EINTR, errno);
    EXPECT_GT(handled, before);
}

TEST_F(SignalsDelivery, FutexWaitRestartsOnlyIfAsked) {
    // The word changes in the handler, so that a restarted wait answers EAGAIN.
    static int word;
    struct Change {
        static void handler(int) {
            word = 1;
            handled = handled + 1;
        }
    };
    word = 0;
    set_handler(SIGALRM, Change::handler, SA_RESTART);
    start_alarm_us(20'000);
    EXPECT_EQ(-1, syscall(SYS_futex, &word, 0, 0, nullptr));
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_EQ(1, handled);

    set_handler(SIGALRM, Change::handler);
    EXPECT_TRUE(when_calm([] {
        word = 0;
        handled = 0;
        start_alarm_us(20'000);
        EXPECT_EQ(-1, syscall(SYS_futex, &word, 0, 0, nullptr));
        EXPECT_TRUE(errno == EINTR || errno == EAGAIN) << errno;  // EAGAIN before the wait began
        EXPECT_EQ(1, handled);
        return errno == EINTR;
    }));
}

TEST_F(SignalsDelivery, IgnoredSignalsDoNotInterrupt) {
    signal(SIGALRM, SIG_IGN);
    start_alarm_us(20'000);
    timespec request = {0, 50'000'000};
    EXPECT_EQ(0, nanosleep(&request, nullptr));
}

sigjmp_buf jump;
void jump_out(int signo) { siglongjmp(jump, signo); }

TEST_F(SignalsDelivery, HandlersMayJumpOut) {
    set_handler(SIGUSR1, jump_out);
    for (int i = 0; i < 3; i++) {
        const int from = sigsetjmp(jump, 1);
        if (from == 0) {
            raise(SIGUSR1);
            FAIL() << "not reached";
        }
        EXPECT_EQ(SIGUSR1, from);
        EXPECT_FALSE(is_blocked(SIGUSR1));
    }
}

char alternate[64 * 1024];
volatile bool on_alternate;
volatile int flags_inside, set_inside, set_error;
void look_at_stack(int signo) {
    note(signo);
    char local;
    on_alternate = &local >= alternate && &local < alternate + sizeof(alternate);
    stack_t now;
    sigaltstack(nullptr, &now);
    flags_inside = now.ss_flags;
    stack_t off = {};
    off.ss_flags = SS_DISABLE;
    set_inside = sigaltstack(&off, nullptr);
    set_error = errno;
}

TEST_F(SignalsDelivery, AlternateStack) {
    stack_t stack = {};
    stack.ss_sp = alternate;
    stack.ss_size = sizeof(alternate);
    ASSERT_EQ(0, sigaltstack(&stack, nullptr));
    set_handler(SIGUSR1, look_at_stack, SA_ONSTACK);
    raise(SIGUSR1);
    EXPECT_TRUE(on_alternate);
    EXPECT_EQ(SS_ONSTACK, flags_inside);
    EXPECT_EQ(-1, set_inside);
    EXPECT_EQ(EPERM, set_error);

    set_handler(SIGUSR1, look_at_stack);
    raise(SIGUSR1);
    EXPECT_FALSE(on_alternate);
    EXPECT_EQ(0, set_inside);
    sigaltstack(nullptr, &stack);
    EXPECT_EQ(0, stack.ss_flags) << "the return puts back what the handler took away";
    EXPECT_EQ(alternate, stack.ss_sp);
    stack.ss_flags = SS_DISABLE;
    ASSERT_EQ(0, sigaltstack(&stack, nullptr));
}

TEST_F(SignalsDelivery, AlternateStackDisarmsItself) {
    constexpr int kAutodisarm = static_cast<int>(1u << 31);
    stack_t stack = {};
    stack.ss_sp = alternate;
    stack.ss_size = sizeof(alternate);
    stack.ss_flags = kAutodisarm;
    ASSERT_EQ(0, sigaltstack(&stack, nullptr));
    set_handler(SIGUSR1, look_at_stack, SA_ONSTACK);
    raise(SIGUSR1);
    EXPECT_TRUE(on_alternate);
    EXPECT_EQ(SS_DISABLE, flags_inside);
    EXPECT_EQ(0, set_inside);
    stack_t now;
    sigaltstack(nullptr, &now);
    EXPECT_EQ(kAutodisarm, now.ss_flags) << "armed again by the return";
    stack.ss_flags = SS_DISABLE;
    ASSERT_EQ(0, sigaltstack(&stack, nullptr));
}

TEST_F(SignalsDelivery, InterruptsABusyLoop) {
    set_handler(SIGALRM, note);
    start_alarm_us(3000);
    while (handled == 0) {
    }
    EXPECT_EQ(1, handled);
}

}  // namespace
