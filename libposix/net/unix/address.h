// The names of AF_UNIX sockets (man 7 unix): paths, and abstract names that begin with a zero byte.
#pragma once

#include <sys/un.h>

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <string_view>

#include "libposix/fs/path.h"
#include "libposix/net/socket_address.h"

namespace coracle {

class UnixEndpoint;

// What a program gave as an address, checked.
class UnixName {
  public:
    // EINVAL: no AF_UNIX address, too short or too long.
    static Result<UnixName> parse(const SocketAddress& address);
    static bool is_unnamed(const SocketAddress& address) {
        return address.length == sizeof(sa_family_t) && address.family() == AF_UNIX;
    }

    bool is_abstract() const { return is_abstract_; }
    // The path, without a NUL; or all bytes of sun_path.
    std::string_view text() const { return {text_, length_}; }

  private:
    friend class UnixAddress;
    char text_[sizeof(sockaddr_un::sun_path)];
    uint8_t length_ = 0;
    bool is_abstract_ = false;
};

// A name that a socket is bound to. Accepted sockets share their listener's.
class UnixAddress : public RefCounted<UnixAddress> {
  public:
    explicit UnixAddress(const UnixName& name, Path path = {})
        : name_(name), path_(std::move(path)) {}

    const UnixName& name() const { return name_; }
    // Where its socket file lies; empty for an abstract name.
    const Path& path() const { return path_; }
    void write_to(SocketAddress& to) const;

  private:
    UnixName name_;
    Path path_;
};

// Writes the address of a socket without a name.
void write_unnamed(SocketAddress& to);

// Binds the endpoint. EADDRINUSE, EINVAL (it has a name), ENOMEM, and path resolution's errors.
Result<void> bind_unix(UnixEndpoint& endpoint, const UnixName& name);
// Gives it an abstract name that is free, unless it has one. ENOMEM, ENOSPC.
Result<void> autobind_unix(UnixEndpoint& endpoint);
// Takes its name away; a socket file stays.
void unbind_unix(UnixEndpoint& endpoint);
// Who has the name. ECONNREFUSED, EPROTOTYPE (of another type), EACCES, and path resolution's.
Result<RefPtr<UnixEndpoint>> find_unix(const UnixName& name, int type);

}  // namespace coracle
