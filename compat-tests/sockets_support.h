// What the sockets_* tests share.
#pragma once

#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#include <string_view>
#include <utility>
#include <vector>

#include "descriptor.h"
#include "files_support.h"

inline std::pair<Descriptor, Descriptor> make_socket_pair(int type) {
    int fds[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, type, 0, fds), 0) << strerror(errno);
    return {Descriptor(fds[0]), Descriptor(fds[1])};
}

struct UnixAddress {
    explicit UnixAddress(std::string_view path) {
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path.data(), path.size());
        length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
        if (path[0] != '\0') length++;
    }
    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
    sockaddr_un address = {};
    socklen_t length;
};

inline int bind_to(int fd, const UnixAddress& address) {
    return bind(fd, address.get(), address.length);
}
inline int connect_to(int fd, const UnixAddress& address) {
    return connect(fd, address.get(), address.length);
}

// An abstract name of this test run alone.
inline std::string abstract_name(const char* text) {
    return std::string(1, '\0') + "coracle-" + std::to_string(getpid()) + text;
}

// Until the end of the scope, this many descriptors more can be had.
class DescriptorLimit {
  public:
    explicit DescriptorLimit(int more) {
        Descriptor next(dup(0));
        EXPECT_OK(getrlimit(RLIMIT_NOFILE, &old_));
        rlimit low = old_;
        low.rlim_cur = static_cast<rlim_t>(next + more);
        EXPECT_OK(setrlimit(RLIMIT_NOFILE, &low));
    }
    ~DescriptorLimit() { EXPECT_OK(setrlimit(RLIMIT_NOFILE, &old_)); }

  private:
    rlimit old_ = {};
};

// The events that hold now.
inline int poll_now(int fd, int events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI) {
    pollfd entry = {fd, static_cast<short>(events), 0};
    EXPECT_GE(poll(&entry, 1, 0), 0);
    return entry.revents;
}

inline std::string receive_text(int fd, int flags = 0, size_t size = 4096) {
    std::string text(size, '\0');
    const ssize_t got = recv(fd, text.data(), size, flags);
    if (got < 0) return strerror(errno);
    text.resize(static_cast<size_t>(got));
    return text;
}

template <typename T = int>
T get_option(int fd, int option, int level = SOL_SOCKET) {
    T value = {};
    socklen_t length = sizeof(value);
    EXPECT_EQ(getsockopt(fd, level, option, &value, &length), 0) << strerror(errno);
    EXPECT_EQ(length, sizeof(value));
    return value;
}
template <typename T = int>
int set_option(int fd, int option, T value, int level = SOL_SOCKET) {
    return setsockopt(fd, level, option, &value, sizeof(value));
}

class SocketsTest : public FilesTest {
  protected:
    SocketsTest() { signal(SIGPIPE, SIG_IGN); }
};

class UnixStreamTest : public SocketsTest {
  protected:
    Descriptor make(int flags = SOCK_NONBLOCK) {
        return Descriptor(socket(AF_UNIX, SOCK_STREAM | flags, 0));
    }
    Descriptor make_listener(const UnixAddress& address, int backlog = 5) {
        Descriptor listener = make();
        EXPECT_OK(bind_to(listener, address));
        EXPECT_OK(listen(listener, backlog));
        return listener;
    }
    char buffer_[65536];
};
