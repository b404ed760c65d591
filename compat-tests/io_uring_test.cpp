// io_uring by raw system calls: rings, requests, polling, sockets, registered buffers.
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <atomic>
#include <functional>
#include <thread>

#include "io_uring_support.h"
#include "thread_waits.h"

namespace {

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
    std::atomic<pid_t> tid{0};
    std::thread waiter([&] {
        tid = gettid();
        EXPECT_ERRNO(ring.wait(1), EINTR);
    });
    EXPECT_TRUE(eventually([&] { return tid != 0; }));
    EXPECT_TRUE(asleep(tid));
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
