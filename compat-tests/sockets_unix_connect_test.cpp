// AF_UNIX stream sockets: addresses, listening, connecting, and who may.
#include "sockets_support.h"

namespace {

using UnixConnectTest = UnixStreamTest;

TEST_F(UnixConnectTest, ConnectionsByPath) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address);
    struct stat st;
    ASSERT_OK(stat("socket", &st));
    EXPECT_TRUE(S_ISSOCK(st.st_mode));
    EXPECT_EQ(st.st_mode & 0777, 0755u);
    EXPECT_ERRNO(open("socket", O_RDWR), ENXIO);
    EXPECT_EQ(get_option(listener, SO_ACCEPTCONN), 1);
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
    EXPECT_EQ(poll_now(listener), 0);

    Descriptor client = make();
    EXPECT_EQ(poll_now(client), POLLOUT | POLLHUP);
    ASSERT_OK(connect_to(client, address));
    EXPECT_EQ(poll_now(listener), POLLIN);
    EXPECT_EQ(send(client, "early", 5, 0), 5);  // nobody has accepted it yet

    sockaddr_un name;
    socklen_t length = sizeof(name);
    Descriptor server(accept4(listener, reinterpret_cast<sockaddr*>(&name), &length,
                              SOCK_NONBLOCK | SOCK_CLOEXEC));
    ASSERT_GE(server, 0);
    EXPECT_EQ(length, sizeof(sa_family_t));  // the client has no name
    EXPECT_EQ(name.sun_family, AF_UNIX);
    EXPECT_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
    EXPECT_EQ(receive_text(server), "early");
    EXPECT_EQ(send(server, "answer", 6, 0), 6);
    EXPECT_EQ(receive_text(client), "answer");

    for (auto [fd, call] : {std::pair{int{server}, &getsockname}, {int{client}, &getpeername}}) {
        length = sizeof(name);
        memset(&name, 0x55, sizeof(name));
        ASSERT_OK(call(fd, reinterpret_cast<sockaddr*>(&name), &length));
        EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + sizeof("socket"));
        EXPECT_STREQ(name.sun_path, "socket");
    }
    EXPECT_ERRNO(connect_to(client, address), EISCONN);
    EXPECT_ERRNO(listen(client, 1), EINVAL);
}

TEST_F(UnixConnectTest, AbstractNames) {
    UnixAddress address(abstract_name("stream"));
    Descriptor listener = make_listener(address), client = make();
    ASSERT_OK(connect_to(client, address));
    Descriptor server(accept(listener, nullptr, nullptr));
    sockaddr_un name;
    socklen_t length = sizeof(name);
    ASSERT_OK(getpeername(client, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_EQ(length, address.length);
    EXPECT_EQ(memcmp(&name, &address.address, length), 0);
    Descriptor other = make();
    EXPECT_ERRNO(bind_to(other, address), EADDRINUSE);
    listener.reset();
    EXPECT_OK(bind_to(other, address));  // it is free at once, though `server` has it too
}

TEST_F(UnixConnectTest, AutobindChoosesFiveDigits) {
    Descriptor fd = make();
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    ASSERT_OK(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)));
    socklen_t length = sizeof(name);
    ASSERT_OK(getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length));
    EXPECT_EQ(length, offsetof(sockaddr_un, sun_path) + 6);
    EXPECT_EQ(name.sun_path[0], '\0');
    for (int i = 1; i < 6; i++) EXPECT_TRUE(isxdigit(name.sun_path[i])) << i;
    EXPECT_OK(bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t)));
}

TEST_F(UnixConnectTest, BacklogIsCounted) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address, 1);
    Descriptor clients[3];
    for (Descriptor& client : clients) client = make();
    EXPECT_OK(connect_to(clients[0], address));
    EXPECT_OK(connect_to(clients[1], address));
    EXPECT_ERRNO(connect_to(clients[2], address), EAGAIN);
    Descriptor server(accept(listener, nullptr, nullptr));
    ASSERT_GE(server, 0);
    EXPECT_OK(connect_to(clients[2], address));
    EXPECT_OK(listen(listener, 5));
    Descriptor another = make();
    EXPECT_OK(connect_to(another, address));
}

TEST_F(UnixConnectTest, BacklogWaitTimesOut) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address, 0);
    Descriptor first = make(), second = make(0);
    EXPECT_OK(connect_to(first, address));
    EXPECT_OK(set_option(second, SO_SNDTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(connect_to(second, address), EAGAIN);
    EXPECT_OK(fcntl(listener, F_SETFL, 0));
    Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_OK(set_option(listener, SO_RCVTIMEO, timeval{0, 40000}));
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
}

TEST_F(UnixConnectTest, ClosedListenersRefuseAndReset) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address);
    Descriptor waiting = make(), late = make();
    EXPECT_OK(connect_to(waiting, address));
    listener.reset();
    EXPECT_ERRNO(recv(waiting, buffer_, 1, 0), ECONNRESET);
    EXPECT_EQ(recv(waiting, buffer_, 1, 0), 0);
    EXPECT_ERRNO(connect_to(late, address), ECONNREFUSED);
    Descriptor again = make();
    EXPECT_ERRNO(bind_to(again, address), EADDRINUSE);  // the file is still there
    EXPECT_OK(unlink("socket"));
    EXPECT_ERRNO(connect_to(late, address), ENOENT);
    EXPECT_OK(bind_to(again, address));
    EXPECT_ERRNO(connect_to(late, address), ECONNREFUSED);  // nobody listens
}

TEST_F(UnixConnectTest, ShutListenersAccept) {
    UnixAddress address("socket");
    Descriptor listener = make_listener(address), client = make();
    EXPECT_OK(shutdown(listener, SHUT_RDWR));
    EXPECT_ERRNO(connect_to(client, address), ECONNREFUSED);
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EAGAIN);
    EXPECT_OK(fcntl(listener, F_SETFL, 0));
    EXPECT_ERRNO(accept(listener, nullptr, nullptr), EINVAL);
}

TEST_F(UnixConnectTest, RenamedSocketsKeepWorking) {
    UnixAddress address("socket"), moved("moved"), linked("linked");
    Descriptor listener = make_listener(address), client = make();
    ASSERT_OK(rename("socket", "moved"));
    ASSERT_OK(symlink("moved", "linked"));
    EXPECT_OK(connect_to(client, linked));
    EXPECT_ERRNO(connect_to(make(), address), ENOENT);
}

TEST_F(UnixConnectTest, BindErrors) {
    Descriptor fd = make();
    EXPECT_ERRNO(bind_to(fd, UnixAddress("missing/socket")), ENOENT);
    write_file("file", "");
    EXPECT_ERRNO(bind_to(fd, UnixAddress("file")), EADDRINUSE);
    EXPECT_ERRNO(bind_to(fd, UnixAddress("file/socket")), ENOTDIR);
    UnixAddress inet("x");
    inet.address.sun_family = AF_INET;
    EXPECT_ERRNO(bind_to(fd, inet), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), 1), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), sizeof(sockaddr_un) + 1), EINVAL);
    EXPECT_ERRNO(bind(fd, inet.get(), 129), EINVAL);
    EXPECT_ERRNO(bind(fd, reinterpret_cast<sockaddr*>(bad_pointer()), 10), EFAULT);
    EXPECT_ERRNO(bind(fd, reinterpret_cast<sockaddr*>(kernel_pointer()), 10), EFAULT);
    EXPECT_OK(bind_to(fd, UnixAddress("socket")));
    EXPECT_ERRNO(bind_to(fd, UnixAddress("other")), EINVAL);
    EXPECT_ERRNO(access("other", F_OK), ENOENT);
    EXPECT_ERRNO(bind_to(fd, UnixAddress("socket")), EADDRINUSE);
    EXPECT_ERRNO(bind_to(fd, UnixAddress(abstract_name("x"))), EINVAL);
}

TEST_F(UnixConnectTest, PathsFillTheAddress) {
    const std::string path(sizeof(sockaddr_un::sun_path), 'p');
    Descriptor fd = make();
    UnixAddress address("x");
    memcpy(address.address.sun_path, path.data(), path.size());
    ASSERT_OK(bind(fd, address.get(), sizeof(sockaddr_un)));
    struct stat st;
    EXPECT_OK(stat(path.c_str(), &st));
    char name[200] = {};
    socklen_t length = sizeof(name);
    ASSERT_OK(getsockname(fd, reinterpret_cast<sockaddr*>(name), &length));
    EXPECT_EQ(length, sizeof(sockaddr_un) + 1);
}

TEST_F(UnixConnectTest, ConnectErrors) {
    Descriptor fd = make();
    EXPECT_ERRNO(connect_to(fd, UnixAddress("missing")), ENOENT);
    write_file("file", "");
    EXPECT_ERRNO(connect_to(fd, UnixAddress("file")), ECONNREFUSED);
    EXPECT_ERRNO(connect_to(fd, UnixAddress(abstract_name("nobody"))), ECONNREFUSED);
    Descriptor datagram(socket(AF_UNIX, SOCK_DGRAM, 0));
    ASSERT_OK(bind_to(datagram, UnixAddress("datagram")));
    EXPECT_ERRNO(connect_to(fd, UnixAddress("datagram")), EPROTOTYPE);
    UnixAddress unspecified("x");
    unspecified.address.sun_family = AF_UNSPEC;
    EXPECT_ERRNO(connect_to(fd, unspecified), EINVAL);
    EXPECT_ERRNO(connect(fd, unspecified.get(), 0), EINVAL);
    EXPECT_ERRNO(connect(fd, reinterpret_cast<sockaddr*>(bad_pointer()), 10), EFAULT);
    Descriptor listener = make_listener(UnixAddress("listener"));
    EXPECT_ERRNO(connect_to(listener, UnixAddress("listener")), EINVAL);
}

TEST_F(UnixConnectTest, PathPermissions) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    Descriptor listener = make_listener(UnixAddress("socket"));
    ASSERT_OK(chmod("socket", 0600));
    ASSERT_OK(chmod(".", 0755));
    ASSERT_OK(seteuid(12345));
    EXPECT_ERRNO(connect_to(make(), UnixAddress("socket")), EACCES);
    EXPECT_ERRNO(bind_to(make(), UnixAddress("new")), EACCES);
    ASSERT_OK(seteuid(0));
    ASSERT_OK(chmod("socket", 0666));
    ASSERT_OK(seteuid(12345));
    Descriptor client = make();
    EXPECT_OK(connect_to(client, UnixAddress("socket")));
    ASSERT_OK(seteuid(0));
}

}  // namespace
