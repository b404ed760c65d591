// Sending: kill and its relatives, queues of real-time signals, waiting without a handler.
#include <errno.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <vector>

namespace {

std::vector<int> values;
volatile int handled;
void keep_value(int, siginfo_t* info, void*) {
    values.push_back(info->si_value.sival_int);
    handled = handled + 1;
}

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signo : signals) sigaddset(&set, signo);
    return set;
}

int queue(int signo, int number) {
    sigval value;
    value.sival_int = number;
    return sigqueue(getpid(), signo, value);
}

class SignalsQueue : public ::testing::Test {
  protected:
    void SetUp() override {
        values.clear();
        values.reserve(64);
        handled = 0;
    }
    void TearDown() override {
        sigset_t none = set_of({});
        for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) signal(signo, SIG_IGN);
        sigprocmask(SIG_SETMASK, &none, nullptr);
        for (int signo = SIGRTMIN; signo <= SIGRTMAX; signo++) signal(signo, SIG_DFL);
        signal(SIGUSR1, SIG_DFL);
        signal(SIGALRM, SIG_DFL);
    }
    void block(std::initializer_list<int> signals) {
        sigset_t set = set_of(signals);
        ASSERT_EQ(0, sigprocmask(SIG_BLOCK, &set, nullptr));
    }
};

TEST_F(SignalsQueue, RealTimeSignalsQueueInOrder) {
    const int first = SIGRTMIN, second = SIGRTMIN + 1;
    block({first, second});
    for (int i = 1; i <= 5; i++) {
        ASSERT_EQ(0, queue(second, 100 + i));
        ASSERT_EQ(0, queue(first, i));
    }
    sigset_t both = set_of({first, second});
    std::vector<int> order;
    for (int i = 0; i < 10; i++) {
        siginfo_t info;
        ASSERT_GT(sigwaitinfo(&both, &info), 0);
        EXPECT_EQ(SI_QUEUE, info.si_code);
        order.push_back(info.si_value.sival_int);
    }
    EXPECT_EQ((std::vector<int>{1, 2, 3, 4, 5, 101, 102, 103, 104, 105}), order);
}

TEST_F(SignalsQueue, StandardSignalsWaitOnce) {
    block({SIGUSR1});
    ASSERT_EQ(0, queue(SIGUSR1, 1));
    ASSERT_EQ(0, queue(SIGUSR1, 2));
    sigset_t set = set_of({SIGUSR1});
    siginfo_t info;
    ASSERT_EQ(SIGUSR1, sigwaitinfo(&set, &info));
    EXPECT_EQ(1, info.si_value.sival_int);
    timespec none = {};
    EXPECT_EQ(-1, sigtimedwait(&set, &info, &none));
    EXPECT_EQ(EAGAIN, errno);
}

TEST_F(SignalsQueue, EachQueuedSignalRunsTheHandler) {
    struct sigaction action = {};
    action.sa_sigaction = keep_value;
    action.sa_flags = SA_SIGINFO;
    ASSERT_EQ(0, sigaction(SIGRTMIN, &action, nullptr));
    block({SIGRTMIN});
    for (int i = 0; i < 4; i++) queue(SIGRTMIN, i);
    sigset_t set = set_of({SIGRTMIN});
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    EXPECT_EQ((std::vector<int>{0, 1, 2, 3}), values);
}

TEST_F(SignalsQueue, QueueHasALimit) {
    rlimit old;
    ASSERT_EQ(0, getrlimit(RLIMIT_SIGPENDING, &old));
    block({SIGRTMIN, SIGRTMIN + 1});
    rlimit limit = {0, old.rlim_max};
    ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &limit));
    EXPECT_EQ(-1, queue(SIGRTMIN, 7));
    EXPECT_EQ(EAGAIN, errno);
    // kill(2) needs no room: only the details are lost.
    EXPECT_EQ(0, kill(getpid(), SIGRTMIN + 1));
    ASSERT_EQ(0, setrlimit(RLIMIT_SIGPENDING, &old));
    sigset_t set = set_of({SIGRTMIN, SIGRTMIN + 1});
    siginfo_t info;
    timespec none = {};
    EXPECT_EQ(SIGRTMIN + 1, sigtimedwait(&set, &info, &none));
    EXPECT_EQ(SI_USER, info.si_code);
    EXPECT_EQ(0, info.si_pid);
}

TEST_F(SignalsQueue, KillErrors) {
    EXPECT_EQ(0, kill(getpid(), 0));
    EXPECT_EQ(0, kill(0, 0));
    EXPECT_EQ(-1, kill(getpid(), 65));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, kill(getpid(), -1));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, kill(0x3ffffffe, SIGTERM));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, kill(-0x3ffffffe, SIGTERM));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, kill(INT_MIN, SIGTERM));
    EXPECT_EQ(ESRCH, errno);
}

TEST_F(SignalsQueue, ThreadKillErrors) {
    const long tid = syscall(SYS_gettid);
    EXPECT_EQ(0, syscall(SYS_tgkill, getpid(), tid, 0));
    EXPECT_EQ(0, syscall(SYS_tkill, tid, 0));
    EXPECT_EQ(-1, syscall(SYS_tgkill, 0, tid, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_tgkill, getpid(), -1, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_tgkill, getpid(), 0x3ffffffe, 0));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_tgkill, 0x3ffffffe, tid, 0));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_tkill, tid, 65));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_tkill, 0, SIGTERM));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(SignalsQueue, QueueInfoErrors) {
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    EXPECT_EQ(-1, syscall(SYS_rt_sigqueueinfo, getpid(), SIGUSR1, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigqueueinfo, 0x3ffffffe, SIGUSR1, &info));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info));
    EXPECT_EQ(EINVAL, errno);
    info.si_code = SI_USER;
    EXPECT_EQ(-1, syscall(SYS_rt_sigqueueinfo, 0x3ffffffe, SIGUSR1, &info));
    EXPECT_EQ(EPERM, errno) << "only to itself may a process look like kill(2)";
    EXPECT_EQ(-1, syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, SIGUSR1, &info));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(SignalsQueue, QueueInfoDeliversEveryField) {
    block({SIGUSR1});
    siginfo_t info = {}, seen = {};
    info.si_signo = 99;  // the call's argument counts
    info.si_code = -60;
    info.si_errno = 1234;
    info.si_pid = 77;
    info.si_uid = 88;
    info.si_value.sival_int = 99;
    ASSERT_EQ(0, syscall(SYS_rt_tgsigqueueinfo, getpid(), syscall(SYS_gettid), SIGUSR1, &info));
    sigset_t set = set_of({SIGUSR1});
    ASSERT_EQ(SIGUSR1, sigwaitinfo(&set, &seen));
    EXPECT_EQ(SIGUSR1, seen.si_signo);
    EXPECT_EQ(-60, seen.si_code);
    EXPECT_EQ(1234, seen.si_errno);
    EXPECT_EQ(77, seen.si_pid);
    EXPECT_EQ(88u, seen.si_uid);
    EXPECT_EQ(99, seen.si_value.sival_int);
}

TEST_F(SignalsQueue, TimedWaitTimesOut) {
    block({SIGUSR1});
    sigset_t set = set_of({SIGUSR1});
    timespec limit = {0, 5'000'000}, start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    EXPECT_EQ(-1, sigtimedwait(&set, nullptr, &limit));
    EXPECT_EQ(EAGAIN, errno);
    clock_gettime(CLOCK_MONOTONIC, &end);
    const long ns = (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec;
    EXPECT_GE(ns, 5'000'000);
    limit.tv_nsec = 1000000000;
    EXPECT_EQ(-1, sigtimedwait(&set, nullptr, &limit));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigtimedwait, &set, nullptr, nullptr, 7));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_rt_sigtimedwait, 8, nullptr, nullptr, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST_F(SignalsQueue, TimedWaitIsWokenByItsSignal) {
    block({SIGALRM});
    itimerval value = {};
    value.it_value.tv_usec = 20'000;
    setitimer(ITIMER_REAL, &value, nullptr);
    sigset_t set = set_of({SIGALRM});
    timespec limit = {60, 0};
    siginfo_t info;
    EXPECT_EQ(SIGALRM, sigtimedwait(&set, &info, &limit));
    EXPECT_EQ(SI_KERNEL, info.si_code);
}

TEST_F(SignalsQueue, TimedWaitIsInterruptedByOthers) {
    struct sigaction action = {};
    action.sa_sigaction = keep_value;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGALRM, &action, nullptr);
    // Again and again: the machine may stand still until the first is over.
    const itimerval value = {{0, 20'000}, {0, 20'000}}, off = {};
    setitimer(ITIMER_REAL, &value, nullptr);
    sigset_t set = set_of({SIGUSR1});
    timespec limit = {60, 0};
    EXPECT_EQ(-1, sigtimedwait(&set, nullptr, &limit));
    EXPECT_EQ(EINTR, errno);
    EXPECT_GE(handled, 1);
    setitimer(ITIMER_REAL, &off, nullptr);
    signal(SIGALRM, SIG_DFL);
}

}  // namespace
