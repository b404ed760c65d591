// socket, socketpair, bind, connect, listen, accept, accept4, shutdown, getsockname, getpeername,
// getsockopt, setsockopt.
#include <fcntl.h>

#include <algorithm>

#include "libposix/net/message_calls.h"
#include "libposix/net/socket_argument.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr int kTypeMask = 0xf;  // SOCK_TYPE_MASK
constexpr int kTypeCount = 11;  // SOCK_MAX
static_assert(SOCK_CLOEXEC == O_CLOEXEC && SOCK_NONBLOCK == O_NONBLOCK);

struct Request {
    const SocketFamily* family;
    Socket::Kind kind;
    uint32_t flags;  // O_NONBLOCK, O_CLOEXEC
};

Result<Request> check_request(int family, int type, int protocol) {
    const int flags = type & ~kTypeMask;
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return Error(EINVAL);
    type &= kTypeMask;
    if (family < 0 || family >= AF_MAX) return Error(EAFNOSUPPORT);
    if (type >= kTypeCount) return Error(EINVAL);
    // The way of Linux 2.0 to ask for packet sockets.
    if (family == AF_INET && type == SOCK_PACKET) family = AF_PACKET;
    const SocketFamily* found = find_socket_family(family);
    if (!found) return Error(EAFNOSUPPORT);
    return Request{found, {family, type, protocol}, static_cast<uint32_t>(flags)};
}

Result<long> accept_on(int fd, UserOut<char> address, UserInOut<unsigned> length, int flags) {
    if (!current_process()->descriptors->borrow(fd)) return Error(EBADF);
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return Error(EINVAL);
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    return accept_connection(*socket, socket->is_nonblocking(), address, length, flags);
}

}  // namespace

Result<long> accept_connection(Socket& socket, bool nonblocking, UserOut<char> address,
                               UserInOut<unsigned> length, int flags) {
    if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK)) return Error(EINVAL);
    // A connection is not to be taken off the queue when there is no descriptor for it.
    Process& process = *current_process();
    if (!process.descriptors->has_room(process.limits.soft(Resource::kOpenFiles))) {
        return Error(EMFILE);
    }
    RefPtr<Socket> accepted =
        TRY(socket.accept(nonblocking, static_cast<uint32_t>(flags & SOCK_NONBLOCK)));
    if (address) {
        SocketAddress peer;
        if (!accepted->peer_address(peer).ok()) return Error(ECONNABORTED);
        TRY(peer.write(address, length));
    }
    return install_descriptor(std::move(accepted), static_cast<uint32_t>(flags & SOCK_CLOEXEC));
}

Result<BorrowedSocket> BorrowedSocket::find(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!file->socket()) return Error(ENOTSOCK);
    return BorrowedSocket(std::move(file));
}

Result<long> sys_socket(int family, int type, int protocol) {
    Request request = TRY(check_request(family, type, protocol));
    RefPtr<Socket> socket =
        TRY(request.family->create(request.kind, request.flags & SOCK_NONBLOCK));
    return install_descriptor(std::move(socket), request.flags);
}

Result<long> sys_socketpair(int family, int type, int protocol, UserOut<int> fds) {
    Request request = TRY(check_request(family, type, protocol));
    if (!request.family->create_pair) return Error(EOPNOTSUPP);
    SocketPair pair = TRY(request.family->create_pair(request.kind, request.flags & SOCK_NONBLOCK));
    return install_descriptor_pair(std::move(pair.first), std::move(pair.second), request.flags,
                                   fds);
}

Result<long> sys_bind(int fd, UserIn<char> address, unsigned length) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    SocketAddress name;
    TRY(name.read(address, length));
    TRY(socket->bind(name));
    return 0;
}

Result<long> sys_connect(int fd, UserIn<char> address, unsigned length) {
    if (!current_process()->descriptors->borrow(fd)) return Error(EBADF);
    SocketAddress peer;
    TRY(peer.read(address, length));
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    TRY(socket->connect(peer, socket->is_nonblocking()));
    return 0;
}

Result<long> sys_listen(int fd, int backlog) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    TRY(socket->listen(std::min(static_cast<unsigned>(backlog), unsigned{kMaxBacklog})));
    return 0;
}

Result<long> sys_accept(int fd, UserOut<char> address, UserInOut<unsigned> length) {
    return accept_on(fd, address, length, 0);
}

Result<long> sys_accept4(int fd, UserOut<char> address, UserInOut<unsigned> length, int flags) {
    return accept_on(fd, address, length, flags);
}

Result<long> sys_shutdown(int fd, int how) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    if (how < SHUT_RD || how > SHUT_RDWR) return Error(EINVAL);
    TRY(socket->shutdown(how));
    return 0;
}

Result<long> sys_getsockname(int fd, UserOut<char> address, UserInOut<unsigned> length) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    SocketAddress name;
    TRY(socket->local_address(name));
    TRY(name.write(address, length));
    return 0;
}

Result<long> sys_getpeername(int fd, UserOut<char> address, UserInOut<unsigned> length) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    SocketAddress peer;
    TRY(socket->peer_address(peer));
    TRY(peer.write(address, length));
    return 0;
}

Result<long> sys_setsockopt(int fd, int level, int option, UserIn<char> value, unsigned length) {
    if (static_cast<int>(length) < 0) return Error(EINVAL);
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    if (level == SOL_SOCKET) {
        TRY(set_socket_option(*socket, option, value, length));
    } else {
        TRY(socket->set_option(level, option, value, length));
    }
    return 0;
}

Result<long> sys_getsockopt(int fd, int level, int option, UserOut<char> value,
                            UserInOut<unsigned> length) {
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    OptionWriter to = TRY(OptionWriter::create(value, length));
    if (level == SOL_SOCKET) {
        TRY(get_socket_option(*socket, option, to));
    } else {
        TRY(socket->get_option(level, option, to));
    }
    return 0;
}

}  // namespace coracle
