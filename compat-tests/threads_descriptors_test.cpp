// Descriptors that one thread closes or replaces while another one uses them: a call goes on with
// the file that it began with.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "threads_support.h"

namespace {

// Runs a call in a thread of its own, and waits until it sleeps in the kernel.
class Blocked {
  public:
    explicit Blocked(std::function<long()> call) {
        thread_ = std::thread([this, call = std::move(call)] {
            tid_ = gettid();
            result_ = call();
            has_returned_ = true;
        });
        while (tid_ == 0) usleep(100);
        EXPECT_TRUE(asleep(tid_));
        EXPECT_FALSE(has_returned_);
    }
    ~Blocked() {
        if (thread_.joinable()) thread_.join();
    }
    bool is_blocked() {
        usleep(5'000);
        return !has_returned_;
    }
    long result() {
        thread_.join();
        return result_;
    }

  private:
    std::atomic<pid_t> tid_{0};
    std::atomic<bool> has_returned_{false};
    long result_ = 0;
    std::thread thread_;
};

TEST(ThreadsDescriptors, ReadOfAPipeThatIsClosed) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    char bytes[4] = {};
    Blocked reader([&] { return read(ends[0], bytes, sizeof(bytes)); });
    EXPECT_EQ(0, close(ends[0]));
    EXPECT_ERRNO(EBADF, fcntl(ends[0], F_GETFD));
    EXPECT_TRUE(reader.is_blocked());
    EXPECT_EQ(3, write(ends[1], "abc", 3)) << "it still has a reader";
    EXPECT_EQ(3, reader.result());
    EXPECT_STREQ("abc", bytes);
    signal(SIGPIPE, SIG_IGN);
    EXPECT_ERRNO(EPIPE, write(ends[1], "d", 1));  // and now has none
    signal(SIGPIPE, SIG_DFL);
    close(ends[1]);
}

TEST(ThreadsDescriptors, WriteToAFullPipeThatIsClosed) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    ASSERT_EQ(4096, fcntl(ends[1], F_SETPIPE_SZ, 4096));
    char page[4096] = {};
    ASSERT_EQ(4096, write(ends[1], page, sizeof(page)));
    Blocked writer([&] { return write(ends[1], "more", 4); });
    EXPECT_EQ(0, close(ends[1]));
    EXPECT_TRUE(writer.is_blocked());
    EXPECT_EQ(4096, read(ends[0], page, sizeof(page)));
    EXPECT_EQ(4, writer.result());
    EXPECT_EQ(4, read(ends[0], page, sizeof(page)));
    EXPECT_EQ(0, read(ends[0], page, sizeof(page))) << "the last writer has gone";
    close(ends[0]);
}

TEST(ThreadsDescriptors, NumberIsReusedMeanwhile) {
    int ends[2], others[2];
    ASSERT_EQ(0, pipe(ends));
    ASSERT_EQ(0, pipe(others));
    char byte = 0;
    Blocked reader([&] { return read(ends[0], &byte, 1); });
    ASSERT_EQ(ends[0], dup2(others[0], ends[0]));
    EXPECT_EQ(1, write(others[1], "2", 1));
    EXPECT_TRUE(reader.is_blocked());
    EXPECT_EQ(1, write(ends[1], "1", 1));
    EXPECT_EQ(1, reader.result());
    EXPECT_EQ('1', byte);
    EXPECT_EQ(1, read(ends[0], &byte, 1));
    EXPECT_EQ('2', byte);
    for (int fd : {ends[0], ends[1], others[0], others[1]}) close(fd);
}

TEST(ThreadsDescriptors, ReceiveFromASocketThatIsClosed) {
    int ends[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    char byte = 0;
    Blocked receiver([&] { return recv(ends[0], &byte, 1, 0); });
    EXPECT_EQ(0, close(ends[0]));
    EXPECT_TRUE(receiver.is_blocked());
    EXPECT_EQ(1, send(ends[1], "x", 1, 0));
    EXPECT_EQ(1, receiver.result());
    EXPECT_ERRNO(EPIPE, send(ends[1], "y", 1, MSG_NOSIGNAL));
    close(ends[1]);
}

TEST(ThreadsDescriptors, ShutdownWakesWhereCloseDoesNot) {
    int ends[2];
    ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
    char byte;
    Blocked receiver([&] { return recv(ends[0], &byte, 1, 0); });
    EXPECT_EQ(0, shutdown(ends[0], SHUT_RD));
    EXPECT_EQ(0, receiver.result());
    for (int fd : ends) close(fd);
}

TEST(ThreadsDescriptors, AcceptOnASocketThatIsClosed) {
    const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name = {AF_UNIX, {}};
    const std::string path = "coracle-descriptors-" + std::to_string(getpid());
    path.copy(name.sun_path + 1, path.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + path.size());
    const auto* address = reinterpret_cast<sockaddr*>(&name);
    ASSERT_EQ(0, bind(listener, address, length));
    ASSERT_EQ(0, listen(listener, 1));
    Blocked acceptor([&] { return accept(listener, nullptr, nullptr); });
    EXPECT_EQ(0, close(listener));
    EXPECT_TRUE(acceptor.is_blocked());
    const int client = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(0, connect(client, address, length));
    const long accepted = acceptor.result();
    EXPECT_GE(accepted, 0);
    close(static_cast<int>(accepted));
    const int late = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_ERRNO(ECONNREFUSED, connect(late, address, length));
    for (int fd : {client, late}) close(fd);
}

TEST(ThreadsDescriptors, PollOfAFileThatIsClosed) {
    int ends[2];
    ASSERT_EQ(0, pipe(ends));
    pollfd asked = {ends[0], POLLIN, 0};
    Blocked poller([&] { return poll(&asked, 1, 5000); });
    EXPECT_EQ(0, close(ends[0]));
    EXPECT_TRUE(poller.is_blocked());
    EXPECT_EQ(1, write(ends[1], "x", 1));
    EXPECT_EQ(1, poller.result());
    EXPECT_EQ(POLLNVAL, asked.revents) << "poll alone looks for the file again";
    close(ends[1]);
}

TEST(ThreadsDescriptors, EpollForgetsAFileThatIsClosed) {
    const int epoll = epoll_create1(0), event_file = eventfd(0, 0);
    epoll_event event = {EPOLLIN, {}};
    ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, event_file, &event));
    Blocked waiter([&] { return epoll_wait(epoll, &event, 1, 100); });
    EXPECT_EQ(0, close(event_file));
    EXPECT_EQ(0, waiter.result());
    close(epoll);
}

TEST(ThreadsDescriptors, EpollThatIsClosedGoesOn) {
    const int epoll = epoll_create1(0), event_file = eventfd(0, 0);
    epoll_event event = {EPOLLIN, {}};
    ASSERT_EQ(0, epoll_ctl(epoll, EPOLL_CTL_ADD, event_file, &event));
    Blocked waiter([&] { return epoll_wait(epoll, &event, 1, 5000); });
    EXPECT_EQ(0, close(epoll));
    EXPECT_TRUE(waiter.is_blocked());
    const uint64_t one = 1;
    EXPECT_EQ(8, write(event_file, &one, sizeof(one)));
    EXPECT_EQ(1, waiter.result());
    close(event_file);
}

// Everybody opens, uses and closes at once: no two get one number, and none is lost.
TEST(ThreadsDescriptors, ManyOpenAndClose) {
    std::atomic<int> wrong{0};
    {
        Threads threads;
        for (int i = 0; i < 4; i++) {
            threads.start([&wrong, i] {
                const uint64_t mark = static_cast<uint64_t>(i) + 1;
                for (int round = 0; round < 500; round++) {
                    const int fd = eventfd(0, EFD_NONBLOCK);
                    uint64_t read_back = 0;
                    if (write(fd, &mark, sizeof(mark)) != sizeof(mark)) wrong++;
                    if (round % 16 == 0) sched_yield();
                    if (read(fd, &read_back, sizeof(read_back)) != sizeof(read_back)) wrong++;
                    if (read_back != mark || close(fd) != 0) wrong++;
                }
            });
        }
    }
    EXPECT_EQ(0, wrong);
}

}  // namespace
