// io_uring: requests that wait for others or for a time, and requests that are cancelled.
#include "io_uring_support.h"

namespace {

using IoUringLinksTest = IoUringTest;

TEST_F(IoUringLinksTest, LinksGoInOrder) {
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

TEST_F(IoUringLinksTest, LinkedRequestsWaitForEachOther) {
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

TEST_F(IoUringLinksTest, DrainsWait) {
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

TEST_F(IoUringLinksTest, Timeouts) {
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

TEST_F(IoUringLinksTest, LinkedTimeouts) {
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

TEST_F(IoUringLinksTest, Cancellation) {
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

TEST_F(IoUringLinksTest, ClosedRingsForgetTheirRequests) {
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

}  // namespace
