// io_uring by raw system calls: rings, requests, links, timeouts, cancellation, sockets.
#include <linux/io_uring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "sockets_support.h"

namespace {

int io_uring_setup(unsigned entries, io_uring_params* params) {
    return static_cast<int>(syscall(SYS_io_uring_setup, entries, params));
}
int io_uring_enter(int fd, unsigned submit, unsigned wait, unsigned flags, void* argument = nullptr,
                   size_t size = 0) {
    return static_cast<int>(syscall(SYS_io_uring_enter, fd, submit, wait, flags, argument, size));
}
int io_uring_register(int fd, unsigned opcode, const void* argument, unsigned count) {
    return static_cast<int>(syscall(SYS_io_uring_register, fd, opcode, argument, count));
}

class Ring {
  public:
    explicit Ring(unsigned entries = 8, unsigned flags = 0) {
        params_.flags = flags;
        fd_.reset(io_uring_setup(entries, &params_));
        if (fd_ < 0) return;
        const size_t size =
            std::max(params_.sq_off.array + params_.sq_entries * sizeof(unsigned),
                     params_.cq_off.cqes + params_.cq_entries * sizeof(io_uring_cqe));
        rings_ = static_cast<char*>(mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                         MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQ_RING));
        entries_ = static_cast<io_uring_sqe*>(
            mmap(nullptr, params_.sq_entries * sizeof(io_uring_sqe), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_POPULATE, fd_, IORING_OFF_SQES));
        EXPECT_NE(static_cast<void*>(rings_), MAP_FAILED);
        EXPECT_NE(static_cast<void*>(entries_), MAP_FAILED);
        size_ = size;
    }
    ~Ring() {
        if (fd_ < 0) return;
        munmap(rings_, size_);
        munmap(entries_, params_.sq_entries * sizeof(io_uring_sqe));
    }
    bool is_open() const { return fd_ >= 0; }
    int fd() const { return fd_; }
    const io_uring_params& params() const { return params_; }

    io_uring_sqe& prepare(unsigned opcode, int fd, uint64_t user_data,
                          const void* address = nullptr, unsigned length = 0, uint64_t offset = 0) {
        auto& tail = word(params_.sq_off.tail);
        const unsigned index = (tail + prepared_) & (params_.sq_entries - 1);
        io_uring_sqe& sqe = entries_[index];
        memset(&sqe, 0, sizeof(sqe));
        sqe.opcode = static_cast<uint8_t>(opcode);
        sqe.fd = fd;
        sqe.user_data = user_data;
        sqe.addr = reinterpret_cast<uint64_t>(address);
        sqe.len = length;
        sqe.off = offset;
        reinterpret_cast<unsigned*>(rings_ + params_.sq_off.array)[index] = index;
        prepared_++;
        return sqe;
    }
    int submit(unsigned wait = 0) {
        const unsigned count = std::exchange(prepared_, 0);
        word(params_.sq_off.tail).fetch_add(count);
        return io_uring_enter(fd_, count, wait, wait ? IORING_ENTER_GETEVENTS : 0);
    }
    int wait(unsigned count) { return io_uring_enter(fd_, 0, count, IORING_ENTER_GETEVENTS); }

    std::vector<io_uring_cqe> take() {
        std::vector<io_uring_cqe> taken;
        auto& head = word(params_.cq_off.head);
        for (; head != word(params_.cq_off.tail); head++) {
            const auto* slots = reinterpret_cast<io_uring_cqe*>(rings_ + params_.cq_off.cqes);
            taken.push_back(slots[head & (params_.cq_entries - 1)]);
        }
        return taken;
    }
    // Submits, waits for `count` completions, and gives the results by user_data.
    std::map<uint64_t, int> run(unsigned count) {
        EXPECT_GE(submit(count), 0) << strerror(errno);
        std::map<uint64_t, int> results;
        for (const io_uring_cqe& each : take()) results[each.user_data] = each.res;
        return results;
    }
    int run_one() { return run(1)[1]; }
    std::atomic<unsigned>& word(unsigned offset) {
        return *reinterpret_cast<std::atomic<unsigned>*>(rings_ + offset);
    }

  private:
    Descriptor fd_;
    io_uring_params params_ = {};
    char* rings_ = nullptr;
    size_t size_ = 0;
    io_uring_sqe* entries_ = nullptr;
    unsigned prepared_ = 0;
};

class IoUringTest : public SocketsTest {
  protected:
    void SetUp() override {
        if (!ring.is_open()) GTEST_SKIP() << "this Linux gives no io_uring: " << strerror(errno);
    }
    using Results = std::map<uint64_t, int>;
    Ring ring;
    char buffer_[4096] = {};
};

TEST_F(IoUringTest, Setup) {
    EXPECT_EQ(ring.params().sq_entries, 8u);
    EXPECT_EQ(ring.params().cq_entries, 16u);
    EXPECT_TRUE(ring.params().features & IORING_FEAT_SINGLE_MMAP);
    EXPECT_TRUE(ring.params().features & IORING_FEAT_NODROP);
    io_uring_params params = {};
    EXPECT_ERRNO(io_uring_setup(0, &params), EINVAL);
    EXPECT_ERRNO(io_uring_setup(40000, &params), EINVAL);
    params.flags = 1u << 31;
    EXPECT_ERRNO(io_uring_setup(8, &params), EINVAL);
    EXPECT_ERRNO(io_uring_setup(8, reinterpret_cast<io_uring_params*>(bad_pointer())), EFAULT);
    Ring odd(5);
    EXPECT_EQ(odd.params().sq_entries, 8u);
    EXPECT_EQ(fcntl(ring.fd(), F_GETFD), FD_CLOEXEC);
    EXPECT_ERRNO(io_uring_enter(0, 0, 0, 0), EOPNOTSUPP);
    EXPECT_ERRNO(io_uring_enter(999, 0, 0, 0), EBADF);
    EXPECT_ERRNO(io_uring_enter(ring.fd(), 0, 0, 1u << 30), EINVAL);
    char link[64] = {};
    ASSERT_GT(readlink(("/proc/self/fd/" + std::to_string(ring.fd())).c_str(), link, 63), 0);
    EXPECT_STREQ(link, "anon_inode:[io_uring]");
}

TEST_F(IoUringTest, NopsComplete) {
    for (uint64_t i = 1; i <= 5; i++) ring.prepare(IORING_OP_NOP, -1, i);
    EXPECT_EQ(ring.run(5), (Results{{1, 0}, {2, 0}, {3, 0}, {4, 0}, {5, 0}}));
    ring.prepare(200, -1, 1);
    EXPECT_EQ(ring.run_one(), -EINVAL);
    ring.prepare(IORING_OP_NOP, -1, 1).flags = 0x80;
    EXPECT_EQ(ring.run_one(), -EINVAL);
}

TEST_F(IoUringTest, FilesAreReadAndWritten) {
    Descriptor file(open("file", O_RDWR | O_CREAT, 0644));
    ring.prepare(IORING_OP_WRITE, file, 1, "0123456789", 10, 5);
    EXPECT_EQ(ring.run_one(), 10);
    ring.prepare(IORING_OP_READ, file, 1, buffer_, 100, 7);
    EXPECT_EQ(ring.run_one(), 8);
    EXPECT_EQ(std::string(buffer_, 8), "23456789");
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 0);
    ring.prepare(IORING_OP_READ, file, 1, buffer_, 7, static_cast<uint64_t>(-1));
    EXPECT_EQ(ring.run_one(), 7);
    EXPECT_EQ(lseek(file, 0, SEEK_CUR), 7);
    char one[] = "one", two[] = "two";
    iovec parts[] = {{one, 3}, {two, 3}};
    ring.prepare(IORING_OP_WRITEV, file, 1, parts, 2, 0);
    EXPECT_EQ(ring.run_one(), 6);
    iovec in[] = {{buffer_, 2}, {buffer_ + 100, 4}};
    ring.prepare(IORING_OP_READV, file, 1, in, 2, 0);
    EXPECT_EQ(ring.run_one(), 6);
    EXPECT_EQ(std::string(buffer_ + 100, 4), "etwo");
    ring.prepare(IORING_OP_FSYNC, file, 1);
    EXPECT_EQ(ring.run_one(), 0);
    ring.prepare(IORING_OP_READ, file, 1, bad_pointer(), 10, 0);
    EXPECT_EQ(ring.run_one(), -EFAULT);
    ring.prepare(IORING_OP_READ, 999, 1, buffer_, 10, 0);
    EXPECT_EQ(ring.run_one(), -EBADF);
    Descriptor read_only(open("file", O_RDONLY));
    ring.prepare(IORING_OP_WRITE, read_only, 1, buffer_, 10, 0);
    EXPECT_EQ(ring.run_one(), -EBADF);
}

TEST_F(IoUringTest, NamesAreOpenedAndClosed) {
    write_file("file", "contents");
    ring.prepare(IORING_OP_OPENAT, AT_FDCWD, 1, "file").open_flags = O_RDONLY;
    const int fd = ring.run_one();
    ASSERT_GE(fd, 0);
    EXPECT_EQ(read(fd, buffer_, 100), 8);
    struct statx info = {};
    ring.prepare(IORING_OP_STATX, AT_FDCWD, 1, "file", STATX_SIZE,
                 reinterpret_cast<uint64_t>(&info));
    EXPECT_EQ(ring.run_one(), 0);
    EXPECT_EQ(info.stx_size, 8u);
    ring.prepare(IORING_OP_CLOSE, fd, 1);
    EXPECT_EQ(ring.run_one(), 0);
    EXPECT_ERRNO(fcntl(fd, F_GETFD), EBADF);
    ring.prepare(IORING_OP_OPENAT, AT_FDCWD, 1, "missing").open_flags = O_RDONLY;
    EXPECT_EQ(ring.run_one(), -ENOENT);
    ring.prepare(IORING_OP_MKDIRAT, AT_FDCWD, 1, "folder", 0755);
    EXPECT_EQ(ring.run_one(), 0);
    ring.prepare(IORING_OP_RENAMEAT, AT_FDCWD, 1, "file", static_cast<unsigned>(AT_FDCWD),
                 reinterpret_cast<uint64_t>("folder/file"));
    EXPECT_EQ(ring.run_one(), 0);
    ring.prepare(IORING_OP_UNLINKAT, AT_FDCWD, 1, "folder/file");
    EXPECT_EQ(ring.run_one(), 0);
    EXPECT_ERRNO(access("folder/file", F_OK), ENOENT);
}

TEST_F(IoUringTest, RequestsWaitForData) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0);
    EXPECT_EQ(ring.submit(), 1);
    EXPECT_TRUE(ring.take().empty());
    EXPECT_EQ(poll_now(ring.fd(), POLLIN), 0);
    EXPECT_EQ(write(writer, "late", 4), 4);
    EXPECT_EQ(poll_now(ring.fd(), POLLIN), POLLIN);
    EXPECT_GE(ring.wait(1), 0);
    std::vector<io_uring_cqe> done = ring.take();
    ASSERT_EQ(done.size(), 1u);
    EXPECT_EQ(done[0].res, 4);
    EXPECT_EQ(std::string(buffer_, 4), "late");
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0);
    EXPECT_EQ(ring.submit(), 1);
    writer.reset();
    EXPECT_GE(ring.wait(1), 0);
    EXPECT_EQ(ring.take().at(0).res, 0);
    ASSERT_OK(pipe2(fds, O_NONBLOCK));
    reader.reset(fds[0]);
    writer.reset(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0);  // O_NONBLOCK says nothing here
    EXPECT_EQ(ring.submit(), 1);
    EXPECT_EQ(write(writer, "late", 4), 4);
    EXPECT_GE(ring.wait(1), 0);
    EXPECT_EQ(ring.take().at(0).res, 4);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 100, 0).rw_flags = RWF_NOWAIT;
    EXPECT_EQ(ring.run_one(), -EAGAIN);
}

TEST_F(IoUringTest, OtherThreadsWakeTheWaiter) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    std::thread writer([fd = int{a}] {
        usleep(20000);
        EXPECT_EQ(send(fd, "hello", 5, 0), 5);
    });
    ring.prepare(IORING_OP_RECV, b, 1, buffer_, 100);
    EXPECT_EQ(ring.run_one(), 5);
    writer.join();
}

TEST_F(IoUringTest, Polling) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    ring.prepare(IORING_OP_POLL_ADD, a, 1).poll32_events = POLLOUT;
    EXPECT_EQ(ring.run_one(), POLLOUT);
    ring.prepare(IORING_OP_POLL_ADD, b, 1).poll32_events = POLLIN;
    EXPECT_EQ(ring.submit(), 1);
    EXPECT_TRUE(ring.take().empty());
    ring.prepare(IORING_OP_POLL_REMOVE, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(2), (Results{{1, -ECANCELED}, {2, 0}}));
    ring.prepare(IORING_OP_POLL_REMOVE, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(1)[2], -ENOENT);
    ring.prepare(IORING_OP_POLL_ADD, b, 1, nullptr, IORING_POLL_ADD_MULTI).poll32_events = POLLIN;
    EXPECT_EQ(ring.submit(), 1);
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(send(a, "x", 1, 0), 1);
        EXPECT_GE(ring.wait(1), 0);
        std::vector<io_uring_cqe> done = ring.take();
        ASSERT_EQ(done.size(), 1u);
        EXPECT_EQ(done[0].res & POLLIN, POLLIN);
        EXPECT_EQ(done[0].flags & IORING_CQE_F_MORE, static_cast<unsigned>(IORING_CQE_F_MORE));
        EXPECT_EQ(recv(b, buffer_, 10, 0), 1);
    }
}

TEST_F(IoUringTest, LinksGoInOrder) {
    Descriptor file(open("file", O_RDWR | O_CREAT, 0644));
    ring.prepare(IORING_OP_WRITE, file, 1, "abc", 3, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_READ, file, 2, buffer_, 3, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_CLOSE, file, 3);
    EXPECT_EQ(ring.run(3), (Results{{1, 3}, {2, 3}, {3, 0}}));
    file.release();
    // A failure, or a short transfer, ends the chain.
    ring.prepare(IORING_OP_READ, 999, 1, buffer_, 3, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_NOP, -1, 2).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_NOP, -1, 3);
    ring.prepare(IORING_OP_NOP, -1, 4);
    EXPECT_EQ(ring.run(4), (Results{{1, -EBADF}, {2, -ECANCELED}, {3, -ECANCELED}, {4, 0}}));
    ring.prepare(IORING_OP_READ, 999, 1, buffer_, 3, 0).flags = IOSQE_IO_HARDLINK;
    ring.prepare(IORING_OP_NOP, -1, 2);
    EXPECT_EQ(ring.run(2), (Results{{1, -EBADF}, {2, 0}}));
    Descriptor again(open("file", O_RDONLY));
    ring.prepare(IORING_OP_READ, again, 1, buffer_, 100, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_NOP, -1, 2);
    EXPECT_EQ(ring.run(2), (Results{{1, 3}, {2, -ECANCELED}}));
}

TEST_F(IoUringTest, LinkedRequestsWaitForEachOther) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 4, 0).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_NOP, -1, 2);
    EXPECT_EQ(ring.submit(), 2);
    EXPECT_TRUE(ring.take().empty());
    EXPECT_EQ(write(writer, "late", 4), 4);
    EXPECT_GE(ring.wait(2), 0);
    std::vector<io_uring_cqe> done = ring.take();
    ASSERT_EQ(done.size(), 2u);
    EXPECT_EQ(done[0].user_data, 1u);
    EXPECT_EQ(done[1].user_data, 2u);
}

TEST_F(IoUringTest, DrainsWait) {
    int fds[2];
    ASSERT_OK(pipe(fds));
    Descriptor reader(fds[0]), writer(fds[1]);
    ring.prepare(IORING_OP_READ, reader, 1, buffer_, 4, 0);
    ring.prepare(IORING_OP_NOP, -1, 2).flags = IOSQE_IO_DRAIN;
    ring.prepare(IORING_OP_NOP, -1, 3);
    EXPECT_EQ(ring.submit(), 3);
    EXPECT_TRUE(ring.take().empty());
    EXPECT_EQ(write(writer, "late", 4), 4);
    EXPECT_GE(ring.wait(3), 0);
    std::vector<io_uring_cqe> done = ring.take();
    ASSERT_EQ(done.size(), 3u);
    for (unsigned i = 0; i < 3; i++) EXPECT_EQ(done[i].user_data, i + 1);
}

TEST_F(IoUringTest, Timeouts) {
    __kernel_timespec time = {0, 20000000};
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &time, 1);
    EXPECT_EQ(ring.run_one(), -ETIME);
    __kernel_timespec day = {86400, 0};
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &day, 1, 2);  // or two completions
    ring.prepare(IORING_OP_NOP, -1, 2);
    ring.prepare(IORING_OP_NOP, -1, 3);
    EXPECT_EQ(ring.run(3), (Results{{1, 0}, {2, 0}, {3, 0}}));
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &day, 1);
    EXPECT_EQ(ring.submit(), 1);
    ring.prepare(IORING_OP_TIMEOUT_REMOVE, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(2), (Results{{1, -ECANCELED}, {2, 0}}));
    ring.prepare(IORING_OP_TIMEOUT_REMOVE, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(1)[2], -ENOENT);
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &day, 1);
    EXPECT_EQ(ring.submit(), 1);
    io_uring_sqe& update = ring.prepare(IORING_OP_TIMEOUT_REMOVE, -1, 2, reinterpret_cast<void*>(1),
                                        0, reinterpret_cast<uint64_t>(&time));
    update.timeout_flags = IORING_TIMEOUT_UPDATE;
    EXPECT_EQ(ring.run(2), (Results{{1, -ETIME}, {2, 0}}));
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, bad_pointer(), 1);
    EXPECT_EQ(ring.run_one(), -EFAULT);
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &time, 2);
    EXPECT_EQ(ring.run_one(), -EINVAL);
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    __kernel_timespec soon = {now.tv_sec, now.tv_nsec};
    ring.prepare(IORING_OP_TIMEOUT, -1, 1, &soon, 1).timeout_flags = IORING_TIMEOUT_ABS;
    EXPECT_EQ(ring.run_one(), -ETIME);
}

TEST_F(IoUringTest, LinkedTimeouts) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    __kernel_timespec time = {0, 20000000};
    ring.prepare(IORING_OP_RECV, b, 1, buffer_, 10).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_LINK_TIMEOUT, -1, 2, &time, 1);
    EXPECT_EQ(ring.run(2), (Results{{1, -ECANCELED}, {2, -ETIME}}));
    EXPECT_EQ(send(a, "x", 1, 0), 1);
    ring.prepare(IORING_OP_RECV, b, 1, buffer_, 10).flags = IOSQE_IO_LINK;
    ring.prepare(IORING_OP_LINK_TIMEOUT, -1, 2, &time, 1);
    EXPECT_EQ(ring.run(2), (Results{{1, 1}, {2, -ECANCELED}}));
    ring.prepare(IORING_OP_LINK_TIMEOUT, -1, 1, &time, 1);
    EXPECT_EQ(ring.run_one(), -EINVAL);
}

TEST_F(IoUringTest, Cancellation) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    ring.prepare(IORING_OP_RECV, b, 1, buffer_, 10);
    EXPECT_EQ(ring.submit(), 1);
    ring.prepare(IORING_OP_ASYNC_CANCEL, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(2), (Results{{1, -ECANCELED}, {2, 0}}));
    ring.prepare(IORING_OP_ASYNC_CANCEL, -1, 2, reinterpret_cast<void*>(1));
    EXPECT_EQ(ring.run(1)[2], -ENOENT);
    ring.prepare(IORING_OP_RECV, b, 1, buffer_, 10);
    ring.prepare(IORING_OP_RECV, a, 3, buffer_, 10);
    EXPECT_EQ(ring.submit(), 2);
    ring.prepare(IORING_OP_ASYNC_CANCEL, a, 2).cancel_flags = IORING_ASYNC_CANCEL_FD;
    EXPECT_EQ(ring.run(2), (Results{{3, -ECANCELED}, {2, 0}}));
    ring.prepare(IORING_OP_ASYNC_CANCEL, -1, 2).cancel_flags =
        IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL;
    EXPECT_EQ(ring.run(2), (Results{{1, -ECANCELED}, {2, 1}}));
}

TEST_F(IoUringTest, ClosedRingsForgetTheirRequests) {
    auto [a, b] = make_socket_pair(SOCK_STREAM);
    {
        Ring other;
        other.prepare(IORING_OP_RECV, b, 1, buffer_, 10);
        EXPECT_EQ(other.submit(), 1);
    }
    usleep(20000);
    EXPECT_EQ(send(a, "x", 1, 0), 1);
    EXPECT_EQ(recv(b, buffer_, 10, 0), 1);
}

TEST_F(IoUringTest, SocketsConnectAndTalk) {
    UnixAddress address("socket");
    Descriptor listener(socket(AF_UNIX, SOCK_STREAM, 0)), client(socket(AF_UNIX, SOCK_STREAM, 0));
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 5));
    ring.prepare(IORING_OP_ACCEPT, listener, 1).accept_flags = SOCK_CLOEXEC;
    EXPECT_EQ(ring.submit(), 1);
    ring.prepare(IORING_OP_CONNECT, client, 2, address.get(), 0, address.length);
    Results results = ring.run(2);
    EXPECT_EQ(results[2], 0);
    ASSERT_GE(results[1], 0);
    Descriptor server(results[1]);
    EXPECT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    ring.prepare(IORING_OP_SEND, client, 1, "hello", 5);
    ring.prepare(IORING_OP_RECV, server, 2, buffer_, 100);
    EXPECT_EQ(ring.run(2), (Results{{1, 5}, {2, 5}}));
    char text[] = "message";
    iovec out = {text, 7}, in = {buffer_, 100};
    msghdr sent = {}, received = {};
    sent.msg_iov = &out;
    received.msg_iov = &in;
    sent.msg_iovlen = received.msg_iovlen = 1;
    ring.prepare(IORING_OP_RECVMSG, client, 2, &received, 1);
    ring.prepare(IORING_OP_SENDMSG, server, 1, &sent, 1);
    EXPECT_EQ(ring.run(2), (Results{{1, 7}, {2, 7}}));
    EXPECT_EQ(std::string(buffer_, 7), "message");
    ring.prepare(IORING_OP_SHUTDOWN, client, 1, nullptr, SHUT_WR);
    EXPECT_EQ(ring.run_one(), 0);
    ring.prepare(IORING_OP_RECV, server, 1, buffer_, 100);
    EXPECT_EQ(ring.run_one(), 0);
    Descriptor file(open("/dev/null", O_RDWR));
    ring.prepare(IORING_OP_SEND, file, 1, "x", 1);
    EXPECT_EQ(ring.run_one(), -ENOTSOCK);
}

TEST_F(IoUringTest, RegisteredBuffersAndFiles) {
    write_file("file", "0123456789");
    Descriptor file(open("file", O_RDWR));
    iovec parts[] = {{buffer_, 100}, {buffer_ + 1000, 100}};
    EXPECT_OK(io_uring_register(ring.fd(), IORING_REGISTER_BUFFERS, parts, 2));
    EXPECT_ERRNO(io_uring_register(ring.fd(), IORING_REGISTER_BUFFERS, parts, 2), EBUSY);
    ring.prepare(IORING_OP_READ_FIXED, file, 1, buffer_ + 1010, 5, 2).buf_index = 1;
    EXPECT_EQ(ring.run_one(), 5);
    EXPECT_EQ(std::string(buffer_ + 1010, 5), "23456");
    ring.prepare(IORING_OP_READ_FIXED, file, 1, buffer_ + 1010, 5, 2).buf_index = 0;
    EXPECT_EQ(ring.run_one(), -EFAULT);
    ring.prepare(IORING_OP_READ_FIXED, file, 1, buffer_ + 90, 11, 0).buf_index = 0;
    EXPECT_EQ(ring.run_one(), -EFAULT);
    EXPECT_OK(io_uring_register(ring.fd(), IORING_UNREGISTER_BUFFERS, nullptr, 0));
    EXPECT_ERRNO(io_uring_register(ring.fd(), IORING_UNREGISTER_BUFFERS, nullptr, 0), ENXIO);

    int fds[] = {file, -1};
    EXPECT_OK(io_uring_register(ring.fd(), IORING_REGISTER_FILES, fds, 2));
    file.reset();
    ring.prepare(IORING_OP_READ, 0, 1, buffer_, 5, 0).flags = IOSQE_FIXED_FILE;
    EXPECT_EQ(ring.run_one(), 5);
    ring.prepare(IORING_OP_READ, 1, 1, buffer_, 5, 0).flags = IOSQE_FIXED_FILE;
    EXPECT_EQ(ring.run_one(), -EBADF);
    ring.prepare(IORING_OP_READ, 2, 1, buffer_, 5, 0).flags = IOSQE_FIXED_FILE;
    EXPECT_EQ(ring.run_one(), -EBADF);
    EXPECT_OK(io_uring_register(ring.fd(), IORING_UNREGISTER_FILES, nullptr, 0));
}

TEST_F(IoUringTest, EventfdsTellOfCompletions) {
    Descriptor event(eventfd(0, EFD_NONBLOCK));
    const int fd = event;
    EXPECT_OK(io_uring_register(ring.fd(), IORING_REGISTER_EVENTFD, &fd, 1));
    EXPECT_ERRNO(io_uring_register(ring.fd(), IORING_REGISTER_EVENTFD, &fd, 1), EBUSY);
    ring.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_EQ(ring.run_one(), 0);
    uint64_t count = 0;
    EXPECT_EQ(read(event, &count, sizeof(count)), 8);
    EXPECT_GE(count, 1u);
    EXPECT_OK(io_uring_register(ring.fd(), IORING_UNREGISTER_EVENTFD, nullptr, 0));
    EXPECT_ERRNO(io_uring_register(ring.fd(), IORING_UNREGISTER_EVENTFD, nullptr, 0), ENXIO);
}

TEST_F(IoUringTest, OverflowedCompletionsAreKept) {
    for (int round = 0; round < 4; round++) {
        for (uint64_t i = 0; i < 8; i++) ring.prepare(IORING_OP_NOP, -1, 1 + i);
        EXPECT_EQ(ring.submit(), 8);
    }
    EXPECT_EQ(ring.take().size(), 16u);
    EXPECT_TRUE(ring.word(ring.params().sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
    EXPECT_GE(ring.wait(1), 0);
    EXPECT_EQ(ring.take().size(), 16u);
    EXPECT_FALSE(ring.word(ring.params().sq_off.flags) & IORING_SQ_CQ_OVERFLOW);
}

TEST_F(IoUringTest, WaitsCanEnd) {
    __kernel_timespec time = {0, 20000000};
    io_uring_getevents_arg argument = {};
    argument.ts = reinterpret_cast<uint64_t>(&time);
    EXPECT_ERRNO(io_uring_enter(ring.fd(), 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                &argument, sizeof(argument)),
                 ETIME);
    EXPECT_ERRNO(io_uring_enter(ring.fd(), 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                                &argument, 3),
                 EINVAL);
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    std::thread waiter([this] { EXPECT_ERRNO(ring.wait(1), EINTR); });
    usleep(20000);
    pthread_kill(waiter.native_handle(), SIGUSR1);
    waiter.join();
}

TEST_F(IoUringTest, DisabledRingsWait) {
    Ring other(8, IORING_SETUP_R_DISABLED);
    ASSERT_TRUE(other.is_open());
    other.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_ERRNO(other.submit(), EBADFD);
    EXPECT_OK(io_uring_register(other.fd(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0));
    EXPECT_EQ(io_uring_enter(other.fd(), 1, 1, IORING_ENTER_GETEVENTS), 1);
    EXPECT_EQ(other.take().size(), 1u);
}

TEST_F(IoUringTest, WildRingContents) {
    // The program may write anything: the kernel must live.
    ring.prepare(IORING_OP_NOP, -1, 1);
    reinterpret_cast<std::atomic<unsigned>&>(ring.word(ring.params().sq_off.array)) = 0xffffffff;
    EXPECT_GE(ring.submit(), 0);
    ring.word(ring.params().cq_off.head) = 0x80000000;
    ring.prepare(IORING_OP_NOP, -1, 1);
    EXPECT_GE(ring.submit(), 0);
    ring.word(ring.params().sq_off.tail) = 0x7fffffff;
    EXPECT_GE(io_uring_enter(ring.fd(), 100, 0, 0), 0);
}

TEST_F(IoUringTest, Probe) {
    std::vector<char> memory(sizeof(io_uring_probe) + 256 * sizeof(io_uring_probe_op));
    auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
    EXPECT_OK(io_uring_register(ring.fd(), IORING_REGISTER_PROBE, probe, 256));
    EXPECT_GE(probe->last_op, IORING_OP_SHUTDOWN);
    for (unsigned opcode : {IORING_OP_NOP, IORING_OP_READ, IORING_OP_POLL_ADD, IORING_OP_ACCEPT}) {
        EXPECT_EQ(probe->ops[opcode].flags & IO_URING_OP_SUPPORTED, IO_URING_OP_SUPPORTED);
    }
}

}  // namespace
