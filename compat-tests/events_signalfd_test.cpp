// signalfd, signalfd4.
#include <sys/signalfd.h>
#include <sys/syscall.h>

#include <thread>

#include "events_support.h"

namespace {

sigset_t set_of(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (int signo : signals) sigaddset(&set, signo);
    return set;
}

class SignalFd : public testing::Test {
  protected:
    SignalFd() { EXPECT_OK(sigprocmask(SIG_BLOCK, &signals_, &old_mask_)); }
    ~SignalFd() override {
        close(fd_);
        // What is left pending is taken, so that unblocking delivers nothing.
        timespec now = {0, 0};
        while (sigtimedwait(&signals_, nullptr, &now) > 0) {
        }
        sigprocmask(SIG_SETMASK, &old_mask_, nullptr);
    }
    signalfd_siginfo take() {
        signalfd_siginfo info = {};
        EXPECT_EQ(read(fd_, &info, sizeof(info)), static_cast<ssize_t>(sizeof(info)));
        return info;
    }
    sigset_t signals_ = set_of({SIGUSR1, SIGUSR2, SIGRTMIN, SIGRTMIN + 1});
    sigset_t old_mask_;
    int fd_ = signalfd(-1, &signals_, SFD_NONBLOCK);
};

TEST_F(SignalFd, ReadsWhatKillSent) {
    signalfd_siginfo info;
    EXPECT_EQ(poll_now(fd_), 0);
    EXPECT_ERRNO(read(fd_, &info, sizeof(info)), EAGAIN);
    ASSERT_OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(poll_now(fd_), POLLIN);
    info = take();
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGUSR1));
    EXPECT_EQ(info.ssi_code, SI_USER);
    EXPECT_EQ(info.ssi_errno, 0);
    EXPECT_EQ(info.ssi_pid, static_cast<uint32_t>(getpid()));
    EXPECT_EQ(info.ssi_uid, getuid());
    EXPECT_EQ(info.ssi_ptr, 0u);
    EXPECT_EQ(poll_now(fd_), 0);
    sigset_t pending;
    sigpending(&pending);
    EXPECT_FALSE(sigismember(&pending, SIGUSR1));
}

TEST_F(SignalFd, ReadsTheThreadsOwnToo) {
    ASSERT_OK(raise(SIGUSR2));
    signalfd_siginfo info = take();
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGUSR2));
    EXPECT_EQ(info.ssi_code, SI_TKILL);
}

TEST_F(SignalFd, QueuedValues) {
    for (int i = 1; i <= 3; i++) {
        sigval value;
        value.sival_ptr = reinterpret_cast<void*>(0x1122334400000000L + i);
        ASSERT_OK(sigqueue(getpid(), SIGRTMIN, value));
    }
    for (unsigned i = 1; i <= 3; i++) {
        signalfd_siginfo info = take();
        EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGRTMIN));
        EXPECT_EQ(info.ssi_code, SI_QUEUE);
        EXPECT_EQ(info.ssi_int, static_cast<int>(i));
        EXPECT_EQ(info.ssi_ptr, 0x1122334400000000UL + i);
    }
}

TEST_F(SignalFd, ReadsSeveralAtOnceInOrder) {
    sigval value = {};
    ASSERT_OK(sigqueue(getpid(), SIGRTMIN + 1, value));
    ASSERT_OK(kill(getpid(), SIGUSR2));
    ASSERT_OK(kill(getpid(), SIGUSR1));
    ASSERT_OK(kill(getpid(), SIGUSR1));
    signalfd_siginfo infos[5];
    ASSERT_EQ(read(fd_, infos, sizeof(infos)), static_cast<ssize_t>(3 * sizeof(infos[0])));
    EXPECT_EQ(infos[0].ssi_signo, static_cast<uint32_t>(SIGUSR1));
    EXPECT_EQ(infos[1].ssi_signo, static_cast<uint32_t>(SIGUSR2));
    EXPECT_EQ(infos[2].ssi_signo, static_cast<uint32_t>(SIGRTMIN + 1));
    ASSERT_OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(read(fd_, infos, 2 * sizeof(infos[0]) - 1), static_cast<ssize_t>(sizeof(infos[0])));
}

TEST_F(SignalFd, TheSetCanChange) {
    sigset_t other = set_of({SIGUSR2, SIGKILL, SIGSTOP});
    ASSERT_OK(kill(getpid(), SIGUSR1));
    EXPECT_EQ(poll_now(fd_), POLLIN);
    EXPECT_EQ(signalfd(fd_, &other, 0), fd_);
    EXPECT_EQ(poll_now(fd_), 0);
    EXPECT_NE(info_of(fd_).find("sigmask:\t0000000000000800\n"), std::string::npos) << info_of(fd_);
    EXPECT_EQ(signalfd(fd_, &signals_, 0), fd_);
    EXPECT_EQ(poll_now(fd_), POLLIN);
}

TEST_F(SignalFd, WaitsForTheSignal) {
    fcntl(fd_, F_SETFL, 0);
    AfterDelay later(
        10 * kMs, [] { kill(getpid(), SIGUSR1); }, SA_RESTART);
    EXPECT_EQ(take().ssi_signo, static_cast<uint32_t>(SIGUSR1));
}

TEST_F(SignalFd, PollWaitsForTheSignal) {
    AfterDelay later(10 * kMs, nullptr);
    sigset_t alarm = set_of({SIGALRM});
    int fd = signalfd(-1, &alarm, SFD_NONBLOCK);
    sigprocmask(SIG_BLOCK, &alarm, nullptr);
    pollfd one = {fd, POLLIN, 0};
    EXPECT_EQ(poll(&one, 1, 60'000), 1);
    signalfd_siginfo info;
    ASSERT_EQ(read(fd, &info, sizeof(info)), 128);
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGALRM));
    EXPECT_EQ(info.ssi_code, SI_KERNEL);
    sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
    close(fd);
}

TEST_F(SignalFd, TimersTellTheirOverrun) {
    timer_t timer;
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    event.sigev_value.sival_int = 31;
    ASSERT_OK(timer_create(CLOCK_MONOTONIC, &event, &timer));
    itimerspec spec = {{0, 1 * kMs}, {0, 1 * kMs}};
    ASSERT_OK(timer_settime(timer, 0, &spec, nullptr));
    usleep(20000);
    signalfd_siginfo info = take();
    EXPECT_EQ(info.ssi_code, SI_TIMER);
    EXPECT_EQ(info.ssi_int, 31);
    EXPECT_GE(info.ssi_overrun, 10u);
    ASSERT_OK(timer_delete(timer));
}

TEST_F(SignalFd, SignalsThatAreNotBlockedGoToTheirHandler) {
    static volatile sig_atomic_t handled;
    handled = 0;
    struct sigaction action = {}, old;
    action.sa_handler = [](int) { handled = 1; };
    sigaction(SIGUSR1, &action, &old);
    sigset_t one = set_of({SIGUSR1});
    sigprocmask(SIG_UNBLOCK, &one, nullptr);
    kill(getpid(), SIGUSR1);
    EXPECT_EQ(handled, 1);
    EXPECT_EQ(poll_now(fd_), 0);
    sigaction(SIGUSR1, &old, nullptr);
}

TEST_F(SignalFd, AnotherThreadReadsTheProcesssSignals) {
    fcntl(fd_, F_SETFL, 0);
    signalfd_siginfo info = {};
    std::thread reader([&] { info = take(); });
    usleep(10000);
    ASSERT_OK(kill(getpid(), SIGUSR2));
    reader.join();
    EXPECT_EQ(info.ssi_signo, static_cast<uint32_t>(SIGUSR2));
    EXPECT_EQ(info.ssi_code, SI_USER);
}

TEST_F(SignalFd, AThreadsOwnSignalsAreForItAlone) {
    ASSERT_OK(pthread_kill(pthread_self(), SIGUSR1));
    std::thread other([&] {
        signalfd_siginfo info;
        EXPECT_ERRNO(read(fd_, &info, sizeof(info)), EAGAIN);
        EXPECT_EQ(poll_now(fd_), 0);
    });
    other.join();
    EXPECT_EQ(poll_now(fd_), POLLIN);
    EXPECT_EQ(take().ssi_signo, static_cast<uint32_t>(SIGUSR1));
}

TEST_F(SignalFd, Errors) {
    EXPECT_ERRNO(signalfd(-1, &signals_, 1), EINVAL);
    EXPECT_ERRNO(signalfd(-2, &signals_, 0), EBADF);
    EXPECT_ERRNO(signalfd(1000, &signals_, 0), EBADF);
    EXPECT_ERRNO(signalfd(0, &signals_, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_signalfd4, -1, &signals_, 4, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_signalfd4, -1, bad_pointer(), 8, 0), EFAULT);
    EXPECT_ERRNO(syscall(SYS_signalfd, -1, bad_pointer(), 8), EFAULT);
    int old = static_cast<int>(syscall(SYS_signalfd, -1, &signals_, 8));
    EXPECT_EQ(fcntl(old, F_GETFL), O_RDWR);
    EXPECT_EQ(name_of(old), "anon_inode:[signalfd]");
    close(old);
    int flagged = signalfd(-1, &signals_, SFD_CLOEXEC | SFD_NONBLOCK);
    EXPECT_EQ(fcntl(flagged, F_GETFD), FD_CLOEXEC);
    close(flagged);
    char bytes[128];
    EXPECT_ERRNO(read(fd_, bytes, 127), EINVAL);
    EXPECT_ERRNO(write(fd_, bytes, 128), EINVAL);
    ASSERT_OK(kill(getpid(), SIGUSR1));
    EXPECT_ERRNO(read(fd_, bad_pointer(), 128), EFAULT);
    EXPECT_EQ(poll_now(fd_), 0) << "what could not be copied is lost";
}

}  // namespace
