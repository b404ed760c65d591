// poll, ppoll, select, pselect6.
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#include "files_support.h"

namespace {

class PollTest : public FilesTest {
  protected:
    PollTest() { EXPECT_OK(pipe(ends_)); }
    ~PollTest() override {
        close(ends_[0]);
        close(ends_[1]);
    }
    short events(int fd, short asked = POLLIN | POLLOUT) {
        pollfd one = {fd, asked, 0};
        poll(&one, 1, 0);
        return one.revents;
    }
    int ends_[2];
};

int64_t now_ms() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

TEST_F(PollTest, TellsWhatIsReady) {
    EXPECT_EQ(events(ends_[0]), 0);
    EXPECT_EQ(events(ends_[1]), POLLOUT);
    EXPECT_EQ(write(ends_[1], "x", 1), 1);
    EXPECT_EQ(events(ends_[0]), POLLIN);
    EXPECT_EQ(events(ends_[0], POLLIN | POLLRDNORM), POLLIN | POLLRDNORM);
    int file = open("file", O_CREAT | O_RDWR, 0644);
    EXPECT_EQ(events(file), POLLIN | POLLOUT);
    close(file);
    EXPECT_EQ(events(file), POLLNVAL);
    EXPECT_EQ(events(-1), 0);
    close(ends_[1]);
    EXPECT_EQ(events(ends_[0]), POLLIN | POLLHUP);
    EXPECT_EQ(events(ends_[0], 0), POLLHUP);
    ASSERT_OK(pipe(ends_));
    close(ends_[0]);
    EXPECT_EQ(events(ends_[1]), POLLOUT | POLLERR);
}

TEST_F(PollTest, CountsDescriptors) {
    EXPECT_EQ(write(ends_[1], "x", 1), 1);
    pollfd three[] = {{ends_[0], POLLIN, 0}, {-5, POLLIN, 77}, {ends_[1], POLLOUT, 0}};
    EXPECT_EQ(poll(three, 3, -1), 2);
    EXPECT_EQ(three[1].revents, 0);
    EXPECT_EQ(poll(nullptr, 0, 0), 0);
    EXPECT_ERRNO(poll(reinterpret_cast<pollfd*>(bad_pointer()), 1, 0), EFAULT);
    EXPECT_ERRNO(poll(three, opaque(1u << 30), 0), EINVAL);
}

TEST_F(PollTest, WaitsForTheTime) {
    pollfd one = {ends_[0], POLLIN, 0};
    int64_t start = now_ms();
    EXPECT_EQ(poll(&one, 1, 30), 0);
    EXPECT_GE(now_ms() - start, 30);
    start = now_ms();
    timespec timeout = {0, 20000000};
    EXPECT_EQ(ppoll(&one, 1, &timeout, nullptr), 0);
    EXPECT_GE(now_ms() - start, 20);
    timeout.tv_nsec = 1000000000;
    EXPECT_ERRNO(ppoll(&one, 1, &timeout, nullptr), EINVAL);
    EXPECT_ERRNO(syscall(SYS_ppoll, &one, 1, nullptr, &one, 4), EINVAL);
}

volatile sig_atomic_t alarms = 0;

TEST_F(PollTest, SignalsEndTheWait) {
    struct sigaction action = {};
    action.sa_handler = [](int) { alarms = alarms + 1; };
    action.sa_flags = SA_RESTART;  // poll is never restarted
    ASSERT_OK(sigaction(SIGALRM, &action, nullptr));
    itimerval timer = {{0, 0}, {0, 20000}};
    ASSERT_OK(setitimer(ITIMER_REAL, &timer, nullptr));
    pollfd one = {ends_[0], POLLIN, 0};
    EXPECT_ERRNO(poll(&one, 1, 5000), EINTR);
    EXPECT_EQ(alarms, 1);
    // A blocked signal comes through with the mask of ppoll.
    sigset_t blocked, none;
    sigemptyset(&none);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGALRM);
    ASSERT_OK(sigprocmask(SIG_BLOCK, &blocked, nullptr));
    raise(SIGALRM);
    EXPECT_EQ(alarms, 1);
    timespec timeout = {5, 0};
    EXPECT_ERRNO(ppoll(&one, 1, &timeout, &none), EINTR);
    EXPECT_EQ(alarms, 2);
    sigset_t current;
    ASSERT_OK(sigprocmask(SIG_UNBLOCK, &blocked, &current));
    EXPECT_TRUE(sigismember(&current, SIGALRM));
    signal(SIGALRM, SIG_DFL);
}

TEST_F(PollTest, SelectKnowsThreeSets) {
    fd_set readable, writable, exceptional;
    FD_ZERO(&readable);
    FD_ZERO(&writable);
    FD_ZERO(&exceptional);
    FD_SET(ends_[0], &readable);
    FD_SET(ends_[1], &writable);
    FD_SET(ends_[0], &exceptional);
    int count = std::max(ends_[0], ends_[1]) + 1;
    timeval timeout = {0, 0};
    EXPECT_EQ(select(count, &readable, &writable, &exceptional, &timeout), 1);
    EXPECT_FALSE(FD_ISSET(ends_[0], &readable));
    EXPECT_TRUE(FD_ISSET(ends_[1], &writable));
    EXPECT_FALSE(FD_ISSET(ends_[0], &exceptional));
    EXPECT_EQ(write(ends_[1], "x", 1), 1);
    FD_SET(ends_[0], &readable);
    EXPECT_EQ(select(count, &readable, &writable, nullptr, nullptr), 2);
    EXPECT_TRUE(FD_ISSET(ends_[0], &readable));
    EXPECT_ERRNO(select(-1, nullptr, nullptr, nullptr, &timeout), EINVAL);
    timeout.tv_sec = -1;
    EXPECT_ERRNO(select(0, nullptr, nullptr, nullptr, &timeout), EINVAL);
    EXPECT_ERRNO(select(count, reinterpret_cast<fd_set*>(bad_pointer()), nullptr, nullptr, nullptr),
                 EFAULT);
    FD_SET(63, &readable);
    EXPECT_ERRNO(select(64, &readable, nullptr, nullptr, nullptr), EBADF);
}

TEST_F(PollTest, SelectTellsTheRemainingTime) {
    timeval timeout = {0, 30000};
    int64_t start = now_ms();
    EXPECT_EQ(select(0, nullptr, nullptr, nullptr, &timeout), 0);
    EXPECT_GE(now_ms() - start, 30);
    EXPECT_EQ(timeout.tv_sec, 0);
    EXPECT_EQ(timeout.tv_usec, 0);
    fd_set writable;
    FD_ZERO(&writable);
    FD_SET(ends_[1], &writable);
    timespec precise = {10, 0};
    EXPECT_EQ(pselect(ends_[1] + 1, nullptr, &writable, nullptr, &precise, nullptr), 1);
}

}  // namespace
