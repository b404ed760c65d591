// POSIX message queues: mq_open, mq_send, mq_receive, mq_notify, mq_getattr.
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <fstream>
#include <thread>

#include "files_support.h"

namespace {

class QueueTest : public testing::Test {
  protected:
    QueueTest() : name_("/coracle-" + std::to_string(getpid())) { queue_ = make(4, 32); }
    ~QueueTest() override {
        mq_close(queue_);
        mq_unlink(name_.c_str());
    }
    mqd_t make(long messages, long size, int flags = O_NONBLOCK) {
        mq_attr attributes = {};
        attributes.mq_maxmsg = messages;
        attributes.mq_msgsize = size;
        return mq_open(name_.c_str(), O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attributes);
    }
    int send(const std::string& text, unsigned priority = 0) {
        return mq_send(queue_, text.data(), text.size(), priority);
    }
    std::string receive() {
        char buffer[64];
        unsigned priority = 99;
        const ssize_t got = mq_receive(queue_, buffer, sizeof(buffer), &priority);
        if (got < 0) return strerrorname_np(errno);
        return std::to_string(priority) + ":" + std::string(buffer, static_cast<size_t>(got));
    }
    // In `ms` from now.
    static timespec soon(long ms) {
        timespec time;
        clock_gettime(CLOCK_REALTIME, &time);
        time.tv_nsec += ms * 1000000;
        time.tv_sec += time.tv_nsec / 1000000000;
        time.tv_nsec %= 1000000000;
        return time;
    }
    std::string name_;
    mqd_t queue_;
};

TEST_F(QueueTest, PrioritiesOrder) {
    ASSERT_GE(queue_, 0);
    EXPECT_EQ(receive(), "EAGAIN");
    EXPECT_OK(send("low", 1));
    EXPECT_OK(send("high", 9));
    EXPECT_OK(send("low too", 1));
    EXPECT_OK(send("", 9));
    EXPECT_ERRNO(send("full", 9), EAGAIN);
    EXPECT_EQ(receive(), "9:high");
    EXPECT_EQ(receive(), "9:");
    EXPECT_EQ(receive(), "1:low");
    EXPECT_EQ(receive(), "1:low too");
    EXPECT_EQ(receive(), "EAGAIN");
    EXPECT_ERRNO(send("x", 32768), EINVAL);
    EXPECT_OK(send("x", 32767));
}

TEST_F(QueueTest, SizesAndMemory) {
    char buffer[64];
    EXPECT_ERRNO(send(std::string(33, 'x')), EMSGSIZE);
    EXPECT_OK(send(std::string(32, 'x')));
    EXPECT_ERRNO(mq_receive(queue_, buffer, 31, nullptr), EMSGSIZE);
    EXPECT_EQ(mq_receive(queue_, buffer, 32, nullptr), 32);
    EXPECT_ERRNO(mq_send(queue_, bad_pointer(), 1, 0), EFAULT);
    EXPECT_ERRNO(mq_send(queue_, kernel_pointer(), 1, 0), EFAULT);
    EXPECT_EQ(receive(), "EAGAIN");
    EXPECT_OK(send("gone"));
    EXPECT_ERRNO(mq_receive(queue_, bad_pointer(), 64, nullptr), EFAULT);
    EXPECT_EQ(receive(), "EAGAIN");
    EXPECT_ERRNO(mq_send(0, "x", 1, 0), EBADF);
    EXPECT_ERRNO(mq_send(999, "x", 1, 0), EBADF);
    EXPECT_ERRNO(mq_receive(0, buffer, 64, nullptr), EBADF);
}

TEST_F(QueueTest, Attributes) {
    mq_attr got = {};
    EXPECT_OK(send("x"));
    EXPECT_OK(mq_getattr(queue_, &got));
    EXPECT_EQ(got.mq_flags, O_NONBLOCK);
    EXPECT_EQ(got.mq_maxmsg, 4);
    EXPECT_EQ(got.mq_msgsize, 32);
    EXPECT_EQ(got.mq_curmsgs, 1);
    mq_attr wanted = {};
    wanted.mq_maxmsg = 1000;  // ignored
    EXPECT_OK(mq_setattr(queue_, &wanted, &got));
    EXPECT_EQ(got.mq_flags, O_NONBLOCK);
    EXPECT_OK(mq_getattr(queue_, &got));
    EXPECT_EQ(got.mq_flags, 0);
    EXPECT_EQ(got.mq_maxmsg, 4);
    wanted.mq_flags = O_APPEND;
    EXPECT_ERRNO(mq_setattr(queue_, &wanted, nullptr), EINVAL);
    EXPECT_ERRNO(mq_getattr(0, &got), EBADF);
}

TEST_F(QueueTest, Names) {
    EXPECT_ERRNO(mq_open("no-slash", O_RDWR), EINVAL);
    EXPECT_ERRNO(mq_open("/coracle-missing", O_RDWR), ENOENT);
    EXPECT_ERRNO(mq_open("/two/slashes", O_RDWR | O_CREAT, 0600, nullptr), EACCES);
    EXPECT_ERRNO(mq_open(("/" + std::string(256, 'x')).c_str(), O_RDWR | O_CREAT, 0600, nullptr),
                 ENAMETOOLONG);
    EXPECT_ERRNO(make(4, 32), EEXIST);
    mqd_t again = mq_open(name_.c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(again, 0);
    EXPECT_ERRNO(mq_send(again, "x", 1, 0), EBADF);
    mqd_t sender = mq_open(name_.c_str(), O_WRONLY);
    char buffer[64];
    EXPECT_ERRNO(mq_receive(sender, buffer, 64, nullptr), EBADF);
    EXPECT_OK(mq_send(sender, "through", 7, 0));
    EXPECT_EQ(mq_receive(again, buffer, 64, nullptr), 7);
    EXPECT_EQ(fcntl(sender, F_GETFD), FD_CLOEXEC);
    EXPECT_OK(mq_unlink(name_.c_str()));
    EXPECT_ERRNO(mq_unlink(name_.c_str()), ENOENT);
    EXPECT_ERRNO(mq_open(name_.c_str(), O_RDWR), ENOENT);
    EXPECT_OK(mq_send(sender, "still", 5, 0));
    EXPECT_EQ(mq_receive(again, buffer, 64, nullptr), 5);
    mq_close(again);
    mq_close(sender);
}

TEST_F(QueueTest, Limits) {
    ASSERT_OK(mq_unlink(name_.c_str()));
    EXPECT_ERRNO(make(0, 32), EINVAL);
    EXPECT_ERRNO(make(4, 0), EINVAL);
    EXPECT_ERRNO(make(4, -1), EINVAL);
    EXPECT_ERRNO(make(65537, 1), EINVAL);
    EXPECT_ERRNO(make(1, 16 * 1024 * 1024 + 1), EINVAL);
    rlimit old, low;
    ASSERT_OK(getrlimit(RLIMIT_MSGQUEUE, &old));
    low = old;
    low.rlim_cur = 2000;
    ASSERT_OK(setrlimit(RLIMIT_MSGQUEUE, &low));
    EXPECT_ERRNO(make(4, 1000), EMFILE);
    ASSERT_OK(setrlimit(RLIMIT_MSGQUEUE, &old));
    mqd_t defaults = mq_open(name_.c_str(), O_RDWR | O_CREAT, 0600, nullptr);
    ASSERT_GE(defaults, 0);
    mq_attr got = {};
    EXPECT_OK(mq_getattr(defaults, &got));
    EXPECT_EQ(got.mq_maxmsg, 10);
    EXPECT_EQ(got.mq_msgsize, 8192);
    mq_close(defaults);
}

TEST_F(QueueTest, Permissions) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    ASSERT_OK(seteuid(12345));
    EXPECT_ERRNO(mq_open(name_.c_str(), O_RDONLY), EACCES);
    EXPECT_EQ(mq_unlink(name_.c_str()), -1);
    ASSERT_OK(seteuid(0));
}

TEST_F(QueueTest, Polling) {
    pollfd entry = {queue_, POLLIN | POLLOUT, 0};
    EXPECT_EQ(poll(&entry, 1, 0), 1);
    EXPECT_EQ(entry.revents, POLLOUT);
    for (int i = 0; i < 4; i++) EXPECT_OK(send("x"));
    EXPECT_EQ(poll(&entry, 1, 0), 1);
    EXPECT_EQ(entry.revents, POLLIN);
}

TEST_F(QueueTest, Timeouts) {
    ASSERT_OK(mq_unlink(name_.c_str()));
    mqd_t queue = make(1, 32, 0);
    char buffer[64];
    timespec end = soon(30);
    EXPECT_ERRNO(mq_timedreceive(queue, buffer, 64, nullptr, &end), ETIMEDOUT);
    EXPECT_OK(mq_timedsend(queue, "x", 1, 0, &end));
    EXPECT_ERRNO(mq_timedsend(queue, "x", 1, 0, &end), ETIMEDOUT);
    end.tv_nsec = 1000000000;
    EXPECT_ERRNO(mq_timedsend(queue, "x", 1, 0, &end), EINVAL);
    mq_close(queue);
}

TEST_F(QueueTest, ReceiversAndSendersWait) {
    EXPECT_OK(fcntl(queue_, F_SETFL, 0));
    std::thread receiver([this] {
        for (int i = 0; i < 20; i++) EXPECT_EQ(receive(), "0:" + std::to_string(i));
    });
    for (int i = 0; i < 20; i++) EXPECT_OK(send(std::to_string(i)));
    receiver.join();
}

volatile sig_atomic_t notifications = 0, notified_value = 0, notified_code = 0;

TEST_F(QueueTest, NotificationsComeOnce) {
    struct sigaction action = {};
    action.sa_sigaction = [](int, siginfo_t* info, void*) {
        notifications = notifications + 1;
        notified_value = info->si_value.sival_int;
        notified_code = info->si_code;
    };
    action.sa_flags = SA_SIGINFO;
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGUSR1;
    event.sigev_value.sival_int = 4711;
    ASSERT_OK(mq_notify(queue_, &event));
    EXPECT_ERRNO(mq_notify(queue_, &event), EBUSY);
    char text[128] = {};
    EXPECT_GT(read(queue_, text, sizeof(text) - 1), 0);
    int size, kind, signal, pid;
    EXPECT_EQ(
        sscanf(text, "QSIZE:%d NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &size, &kind, &signal, &pid), 4)
        << text;
    EXPECT_EQ(signal, SIGUSR1);
    EXPECT_EQ(pid, getpid());
    EXPECT_OK(send("one"));
    EXPECT_EQ(notifications, 1);
    EXPECT_EQ(notified_value, 4711);
    EXPECT_EQ(notified_code, SI_MESGQ);
    EXPECT_OK(send("two"));
    EXPECT_EQ(notifications, 1);
    ASSERT_OK(mq_notify(queue_, &event));
    EXPECT_OK(send("three"));  // the queue was not empty
    EXPECT_EQ(notifications, 1);
    ASSERT_OK(mq_notify(queue_, nullptr));
    event.sigev_signo = 999;
    EXPECT_ERRNO(mq_notify(queue_, &event), EINVAL);
    event.sigev_notify = SIGEV_NONE;
    EXPECT_OK(mq_notify(queue_, &event));
}

TEST_F(QueueTest, StatusCanBeRead) {
    EXPECT_OK(send("12345"));
    char text[128] = {};
    EXPECT_EQ(read(queue_, text, sizeof(text) - 1), 60);
    EXPECT_EQ(std::string(text), "QSIZE:5          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n");
}

}  // namespace
