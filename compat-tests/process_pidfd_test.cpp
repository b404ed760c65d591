// pidfd_open(2) and its relatives on the process itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>

#include "proc_support.h"
#include "threads_support.h"

namespace {

int pidfd_open(pid_t pid, unsigned flags = 0) {
    return static_cast<int>(syscall(SYS_pidfd_open, pid, flags));
}
long pidfd_send_signal(int fd, int signo, siginfo_t* info = nullptr, unsigned flags = 0) {
    return syscall(SYS_pidfd_send_signal, fd, signo, info, flags);
}
int pidfd_getfd(int fd, int target, unsigned flags = 0) {
    return static_cast<int>(syscall(SYS_pidfd_getfd, fd, target, flags));
}

class ProcessPidfd : public ::testing::Test {
  protected:
    void SetUp() override {
        own_ = pidfd_open(getpid());
        ASSERT_GE(own_, 0);
    }
    void TearDown() override { close(own_); }
    int own_ = -1;
};

TEST_F(ProcessPidfd, Arguments) {
    EXPECT_ERRNO(EINVAL, pidfd_open(0));
    EXPECT_ERRNO(EINVAL, pidfd_open(-1));
    EXPECT_ERRNO(EINVAL, pidfd_open(getpid(), 1));
    EXPECT_ERRNO(ESRCH, pidfd_open(0x7fffffff));
    EXPECT_ERRNO(EBADF, pidfd_send_signal(-1, 0));
    EXPECT_ERRNO(EBADF, pidfd_send_signal(STDOUT_FILENO, 0));
    EXPECT_ERRNO(EINVAL, pidfd_send_signal(own_, 65));
    EXPECT_ERRNO(EINVAL, pidfd_send_signal(own_, 0, nullptr, 1u << 31));
    EXPECT_ERRNO(EBADF, pidfd_getfd(STDOUT_FILENO, 0));
    EXPECT_ERRNO(EBADF, pidfd_getfd(own_, 77777));
    EXPECT_ERRNO(EINVAL, pidfd_getfd(own_, 0, 1));
    Sleeper sleeper;
    EXPECT_EQ(-1, pidfd_open(sleeper.tid()));
    EXPECT_TRUE(errno == EINVAL || errno == ENOENT) << "ENOENT from Linux 6.15 on";
}

TEST_F(ProcessPidfd, IsADescriptor) {
    EXPECT_EQ(FD_CLOEXEC, fcntl(own_, F_GETFD));
    EXPECT_EQ(O_RDWR, fcntl(own_, F_GETFL) & ~O_LARGEFILE);
    const int nonblocking = pidfd_open(getpid(), O_NONBLOCK);
    ASSERT_GE(nonblocking, 0);
    EXPECT_EQ(O_RDWR | O_NONBLOCK, fcntl(nonblocking, F_GETFL) & ~O_LARGEFILE);
    close(nonblocking);
    char byte;
    EXPECT_ERRNO(EINVAL, read(own_, &byte, 1));
    EXPECT_ERRNO(EINVAL, write(own_, &byte, 1));
    char target[40] = {};
    const std::string number = std::to_string(own_);
    EXPECT_GT(readlink(("/proc/self/fd/" + number).c_str(), target, sizeof(target) - 1), 0);
    EXPECT_STREQ("anon_inode:[pidfd]", target);
    const std::string info = read_file("/proc/self/fdinfo/" + number);
    const std::string pid = std::to_string(getpid());
    EXPECT_NE(std::string::npos, info.find("\nPid:\t" + pid + "\nNSpid:\t" + pid + "\n")) << info;
}

TEST_F(ProcessPidfd, IsNotReadableWhileTheProcessLives) {
    pollfd asked = {own_, POLLIN, 0};
    EXPECT_EQ(0, poll(&asked, 1, 1));
    const int epoll = epoll_create1(0);
    epoll_event event = {EPOLLIN, {}};
    EXPECT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, own_, &event));
    EXPECT_EQ(0, epoll_wait(epoll, &event, 1, 1));
    close(epoll);
}

TEST_F(ProcessPidfd, NobodyWaitsForItself) {
    siginfo_t info;
    EXPECT_ERRNO(ECHILD, waitid(P_PIDFD, static_cast<id_t>(own_), &info, WEXITED));
    EXPECT_ERRNO(EBADF, waitid(P_PIDFD, STDOUT_FILENO, &info, WEXITED));
}

siginfo_t taken;
void note(int, siginfo_t* info, void*) { taken = *info; }

TEST_F(ProcessPidfd, SendsSignals) {
    struct sigaction action = {};
    action.sa_sigaction = note;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGUSR1, &action, nullptr);
    EXPECT_EQ(0, pidfd_send_signal(own_, 0));
    EXPECT_EQ(0, pidfd_send_signal(own_, SIGUSR1));
    EXPECT_EQ(SIGUSR1, taken.si_signo);
    EXPECT_EQ(SI_USER, taken.si_code);
    EXPECT_EQ(getpid(), taken.si_pid);

    siginfo_t info = {};
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 42;
    EXPECT_EQ(0, pidfd_send_signal(own_, SIGUSR1, &info));
    EXPECT_EQ(SI_QUEUE, taken.si_code);
    EXPECT_EQ(42, taken.si_value.sival_int);
    EXPECT_ERRNO(EINVAL, pidfd_send_signal(own_, SIGUSR2, &info));  // another number
    EXPECT_ERRNO(EFAULT, pidfd_send_signal(own_, SIGUSR1, reinterpret_cast<siginfo_t*>(8)));
    info.si_code = SI_TKILL;
    std::thread([&] { EXPECT_ERRNO(EPERM, pidfd_send_signal(own_, SIGUSR1, &info)); }).join();
    signal(SIGUSR1, SIG_DFL);
}

TEST_F(ProcessPidfd, CopiesDescriptors) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    const int copy = pidfd_getfd(own_, ends[1]);
    ASSERT_GE(copy, 0);
    EXPECT_NE(copy, ends[1]);
    EXPECT_EQ(FD_CLOEXEC, fcntl(copy, F_GETFD));
    EXPECT_EQ(1, write(copy, "x", 1));
    char byte = 0;
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    EXPECT_EQ('x', byte);
    for (int fd : {ends[0], ends[1], copy}) close(fd);
}

}  // namespace
