// Whose rights the requests of an io_uring have: those of who submits them, and with
// IORING_SETUP_SQPOLL of who set the ring up.
#include "io_uring_support.h"

namespace {

constexpr uid_t kNobody = 65534;

// The process is somebody else, in effect, until the end of the scope.
class AsNobody {
  public:
    AsNobody() {
        EXPECT_OK(setegid(kNobody));
        EXPECT_OK(seteuid(kNobody));
    }
    ~AsNobody() {
        EXPECT_OK(seteuid(0));
        EXPECT_OK(setegid(0));
    }
};

io_uring_params polled() {
    io_uring_params params = setup_parameters(IORING_SETUP_SQPOLL);
    params.sq_thread_idle = 20;
    return params;
}
io_uring_params attached(const Ring& to) {
    io_uring_params params = polled();
    params.flags |= IORING_SETUP_ATTACH_WQ;
    params.wq_fd = static_cast<unsigned>(to.fd());
    return params;
}

class IoUringCredentialsTest : public IoUringTest {
  protected:
    void SetUp() override {
        IoUringTest::SetUp();
        if (geteuid() != 0) GTEST_SKIP() << "only root may be somebody else";
        write_file("secret", "of root", 0600);
        EXPECT_OK(chmod(".", 0777));
    }
    // The result of a request that was prepared; 0 instead of a descriptor, which is closed.
    static int run(Ring& in) {
        in.publish();
        EXPECT_EQ(io_uring_enter(in.fd(), 1, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP), 1)
            << strerror(errno);
        const std::vector<io_uring_cqe> done = in.take();
        EXPECT_EQ(done.size(), 1u);
        if (done.empty()) return -EIO;
        if (done[0].res <= 0) return done[0].res;
        close(done[0].res);
        return 0;
    }
    static int open_by(Ring& in, const char* name, int flags = O_RDONLY) {
        in.prepare(IORING_OP_OPENAT, AT_FDCWD, 1, name, 0600).open_flags =
            static_cast<uint32_t>(flags);
        return run(in);
    }
};

TEST_F(IoUringCredentialsTest, RequestsHaveThoseOfTheMoment) {
    EXPECT_EQ(open_by(ring, "secret"), 0);
    {
        const AsNobody nobody;
        EXPECT_EQ(open_by(ring, "secret"), -EACCES);
    }
    EXPECT_EQ(open_by(ring, "secret"), 0);
}

TEST_F(IoUringCredentialsTest, ThreadHasThoseOfTheSetup) {
    Ring of_root(8, polled());
    Ring of_nobody = [] {
        const AsNobody nobody;
        return Ring(8, polled());
    }();
    ASSERT_TRUE(of_root.is_open() && of_nobody.is_open());
    EXPECT_EQ(open_by(of_nobody, "secret"), -EACCES);
    const AsNobody nobody;
    EXPECT_ERRNO(open("secret", O_RDONLY), EACCES);
    EXPECT_EQ(open_by(of_root, "secret"), 0);
    EXPECT_EQ(open_by(of_nobody, "secret"), -EACCES);
}

TEST_F(IoUringCredentialsTest, EachRingOfAThreadHasItsOwn) {
    Ring of_root(8, polled());
    ASSERT_TRUE(of_root.is_open());
    Ring of_nobody = [&] {
        const AsNobody nobody;
        return Ring(8, attached(of_root));
    }();
    ASSERT_TRUE(of_nobody.is_open());
    for (int i = 0; i < 3; i++) {
        EXPECT_EQ(open_by(of_nobody, "secret"), -EACCES);
        EXPECT_EQ(open_by(of_root, "secret"), 0);
    }
}

TEST_F(IoUringCredentialsTest, NewFilesAndConnectionsAreTheRings) {
    Ring of_root(8, polled());
    ASSERT_TRUE(of_root.is_open());
    Descriptor listener(socket(AF_UNIX, SOCK_STREAM, 0)), client(socket(AF_UNIX, SOCK_STREAM, 0));
    const UnixAddress address("listener");
    ASSERT_OK(bind_to(listener, address));
    ASSERT_OK(listen(listener, 1));
    const AsNobody nobody;
    EXPECT_EQ(open_by(of_root, "made", O_CREAT | O_WRONLY), 0);
    struct stat made;
    ASSERT_OK(stat("made", &made));
    EXPECT_EQ(made.st_uid, 0u);
    EXPECT_EQ(made.st_gid, 0u);
    of_root.prepare(IORING_OP_CONNECT, client, 1, address.get(), 0, address.length);
    EXPECT_EQ(run(of_root), 0);
    const Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_EQ(get_option<ucred>(server, SO_PEERCRED).uid, 0u);
}

}  // namespace
