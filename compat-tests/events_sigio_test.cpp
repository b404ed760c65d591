// O_ASYNC: signals for I/O (man 2 fcntl, "Managing signals").
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <thread>

#define ASSERT_OK(call) ASSERT_NE(-1, call) << strerror(errno)

namespace {

const int kQueued = SIGRTMIN + 3;

// Both signals are blocked, and taken when they are looked for.
class SignalDriven : public ::testing::Test {
  protected:
    void SetUp() override {
        sigemptyset(&signals_);
        sigaddset(&signals_, SIGIO);
        sigaddset(&signals_, kQueued);
        pthread_sigmask(SIG_BLOCK, &signals_, &old_);
        ASSERT_OK(pipe(ends_));
    }
    void TearDown() override {
        for (const int end : ends_) close(end);
        siginfo_t info;
        while (take(info) > 0) {}
        pthread_sigmask(SIG_SETMASK, &old_, nullptr);
    }
    // 0: none is pending.
    int take(siginfo_t& info) {
        const timespec now = {};
        const int signo = sigtimedwait(&signals_, &info, &now);
        return signo == -1 ? 0 : signo;
    }
    int count() {
        siginfo_t info;
        int number = 0;
        while (take(info) > 0) number++;
        return number;
    }
    static void turn_on(int fd, int signo) {
        ASSERT_OK(fcntl(fd, F_SETOWN, getpid()));
        ASSERT_OK(fcntl(fd, F_SETSIG, signo));
        ASSERT_OK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_ASYNC));
    }
    void expect(int fd, int code, long band) {
        siginfo_t info;
        ASSERT_EQ(kQueued, take(info));
        EXPECT_EQ(kQueued, info.si_signo);
        EXPECT_EQ(code, info.si_code);
        EXPECT_EQ(band, info.si_band);
        EXPECT_EQ(fd, info.si_fd);
        EXPECT_EQ(0, info.si_errno);
    }

    sigset_t signals_, old_;
    int ends_[2];
};

TEST_F(SignalDriven, APipeHasData) {
    turn_on(ends_[0], 0);
    EXPECT_EQ(O_ASYNC, fcntl(ends_[0], F_GETFL) & O_ASYNC);
    EXPECT_EQ(0, count());
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    siginfo_t info;
    ASSERT_EQ(SIGIO, take(info));
    EXPECT_EQ(SI_KERNEL, info.si_code);
    EXPECT_EQ(0, count());
    // Not any more.
    ASSERT_OK(fcntl(ends_[0], F_SETFL, 0));
    EXPECT_EQ(0, fcntl(ends_[0], F_GETFL) & O_ASYNC);
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    EXPECT_EQ(0, count());
}

TEST_F(SignalDriven, TellsWhatAndWhere) {
    turn_on(ends_[0], kQueued);
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    expect(ends_[0], POLL_IN, POLLIN | POLLRDNORM);
    char byte;
    ASSERT_EQ(1, read(ends_[0], &byte, 1));
    EXPECT_EQ(0, count());
    close(ends_[1]);
    ends_[1] = -1;
    expect(ends_[0], POLL_IN, POLLIN | POLLRDNORM);
}

TEST_F(SignalDriven, APipeHasRoom) {
    ASSERT_OK(fcntl(ends_[1], F_SETPIPE_SZ, 4096));
    char page[4096] = {};
    ASSERT_EQ(4096, write(ends_[1], page, sizeof(page)));
    turn_on(ends_[1], kQueued);
    ASSERT_EQ(4096, read(ends_[0], page, sizeof(page)));
    expect(ends_[1], POLL_OUT, POLLOUT | POLLWRNORM | POLLWRBAND);
}

TEST_F(SignalDriven, SocketsOfTheUnixFamily) {
    int sockets[2];
    for (const int type : {SOCK_STREAM, SOCK_DGRAM}) {
        ASSERT_OK(socketpair(AF_UNIX, type, 0, sockets));
        turn_on(sockets[0], kQueued);
        ASSERT_EQ(3, send(sockets[1], "abc", 3, 0));
        expect(sockets[0], POLL_IN, POLLIN | POLLRDNORM);
        close(sockets[0]);
        close(sockets[1]);
        EXPECT_EQ(0, count());
    }
}

TEST_F(SignalDriven, ByFioasync) {
    int on = 1, off = 0;
    ASSERT_OK(fcntl(ends_[0], F_SETOWN, getpid()));
    ASSERT_OK(ioctl(ends_[0], FIOASYNC, &on));
    EXPECT_EQ(O_ASYNC, fcntl(ends_[0], F_GETFL) & O_ASYNC);
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    EXPECT_EQ(1, count());
    ASSERT_OK(ioctl(ends_[0], FIOASYNC, &off));
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    EXPECT_EQ(0, count());
}

TEST_F(SignalDriven, NotEveryFileCan) {
    char name[] = "/tmp/sigio-XXXXXX";
    const int regular = mkstemp(name);
    unlink(name);
    const int event = eventfd(0, 0);
    for (const int fd : {regular, event}) {
        int on = 1, off = 0;
        EXPECT_EQ(-1, ioctl(fd, FIOASYNC, &on));
        EXPECT_EQ(ENOTTY, errno);
        EXPECT_EQ(0, ioctl(fd, FIOASYNC, &off));
        EXPECT_EQ(0, fcntl(fd, F_SETFL, O_ASYNC));
        EXPECT_EQ(0, fcntl(fd, F_GETFL) & O_ASYNC);
        close(fd);
    }
}

TEST_F(SignalDriven, Inotify) {
    char folder[] = "/tmp/sigio-XXXXXX";
    ASSERT_TRUE(mkdtemp(folder));
    const int watch = inotify_init();
    ASSERT_OK(inotify_add_watch(watch, folder, IN_CREATE));
    turn_on(watch, kQueued);
    const std::string name = std::string(folder) + "/file";
    close(open(name.c_str(), O_CREAT | O_WRONLY, 0600));
    expect(watch, POLL_IN, POLLIN | POLLRDNORM);
    unlink(name.c_str());
    rmdir(folder);
    close(watch);
}

TEST_F(SignalDriven, Owners) {
    const int fd = ends_[0];
    EXPECT_EQ(0, fcntl(fd, F_GETOWN));
    f_owner_ex owner = {};
    ASSERT_OK(fcntl(fd, F_GETOWN_EX, &owner));
    EXPECT_EQ(F_OWNER_TID, owner.type);
    EXPECT_EQ(0, owner.pid);
    ASSERT_OK(fcntl(fd, F_SETOWN, getpid()));
    EXPECT_EQ(getpid(), fcntl(fd, F_GETOWN));
    ASSERT_OK(fcntl(fd, F_GETOWN_EX, &owner));
    EXPECT_EQ(F_OWNER_PID, owner.type);
    EXPECT_EQ(getpid(), owner.pid);
    owner = {F_OWNER_PGRP, getpgrp()};
    ASSERT_OK(fcntl(fd, F_SETOWN_EX, &owner));
    owner = {F_OWNER_TID, 0};
    ASSERT_OK(fcntl(fd, F_GETOWN_EX, &owner));
    EXPECT_EQ(F_OWNER_PGRP, owner.type);
    EXPECT_EQ(getpgrp(), owner.pid);
    EXPECT_EQ(-1, fcntl(fd, F_SETOWN, 4'000'000));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, fcntl(fd, F_SETOWN, INT_MIN));
    EXPECT_EQ(EINVAL, errno);
    owner = {static_cast<__pid_type>(3), getpid()};
    EXPECT_EQ(-1, fcntl(fd, F_SETOWN_EX, &owner));
    EXPECT_EQ(EINVAL, errno);
    owner = {F_OWNER_TID, 4'000'000};
    EXPECT_EQ(-1, fcntl(fd, F_SETOWN_EX, &owner));
    EXPECT_EQ(ESRCH, errno);
    ASSERT_OK(fcntl(fd, F_SETOWN, 0));
    ASSERT_OK(fcntl(fd, F_SETFL, O_ASYNC));
    ASSERT_EQ(1, write(ends_[1], "a", 1));
    EXPECT_EQ(0, count());  // nobody's
}

TEST_F(SignalDriven, OneThreadAlone) {
    std::thread other([&] {
        f_owner_ex owner = {F_OWNER_TID, static_cast<pid_t>(syscall(SYS_gettid))};
        ASSERT_OK(fcntl(ends_[0], F_SETOWN_EX, &owner));
        ASSERT_OK(fcntl(ends_[0], F_SETSIG, kQueued));
        ASSERT_OK(fcntl(ends_[0], F_SETFL, O_ASYNC));
        ASSERT_EQ(1, write(ends_[1], "a", 1));
        sigset_t pending;
        sigpending(&pending);
        EXPECT_EQ(1, sigismember(&pending, kQueued));
        siginfo_t info;
        EXPECT_EQ(kQueued, take(info));
        ASSERT_EQ(1, write(ends_[1], "a", 1));
    });
    other.join();
    EXPECT_EQ(0, count());  // the second one went with its thread
}

TEST_F(SignalDriven, SignalsThatCannotBe) {
    EXPECT_EQ(-1, fcntl(ends_[0], F_SETSIG, 65));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, fcntl(ends_[0], F_SETSIG, -1));
    EXPECT_EQ(EINVAL, errno);
    ASSERT_OK(fcntl(ends_[0], F_SETSIG, kQueued));
    EXPECT_EQ(kQueued, fcntl(ends_[0], F_GETSIG));
}

}  // namespace
