// sendto, recvfrom, sendmsg, recvmsg, sendmmsg, recvmmsg.
#include "libposix/net/message_calls.h"

#include <algorithm>

#include "libposix/files/segments.h"
#include "libposix/net/socket_argument.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr uint32_t kCompatMessage = 0x80000000;  // MSG_CMSG_COMPAT: of 32-bit programs
constexpr unsigned kMaxMessages = 1024;          // UIO_MAXIOV, of sendmmsg(2)

Result<IoBuffer> user_buffer(uint64_t address, size_t count) {
    count = std::min(count, kMaxTransfer);
    if (!is_user_range(address, count)) return Error(EFAULT);
    return IoBuffer::user(address, count);
}

uint32_t with_nonblocking(const Socket& socket, uint32_t flags) {
    return socket.is_nonblocking() ? flags | MSG_DONTWAIT : flags;
}

// A struct msghdr of the application's, and what it points at but the data itself.
class MessageHeader {
  public:
    explicit MessageHeader(uint64_t address) : address_(address) {}

    // EFAULT, EINVAL, EMSGSIZE (too many segments), ENOMEM.
    Result<void> read() {
        header_ = TRY(UserIn<msghdr>(address_).read());
        if (!header_.msg_name) header_.msg_namelen = 0;
        if (static_cast<int>(header_.msg_namelen) < 0) return Error(EINVAL);
        header_.msg_namelen = std::min<socklen_t>(header_.msg_namelen, sizeof(sockaddr_storage));
        if (header_.msg_iovlen > kMaxSegments) return Error(EMSGSIZE);
        return {};
    }
    Result<void> read_segments() {
        return segments_.read(UserIn<iovec>(reinterpret_cast<uint64_t>(header_.msg_iov)),
                              header_.msg_iovlen);
    }

    const msghdr& operator*() const { return header_; }
    const msghdr* operator->() const { return &header_; }
    uint64_t name() const { return reinterpret_cast<uint64_t>(header_.msg_name); }
    uint64_t control() const { return reinterpret_cast<uint64_t>(header_.msg_control); }
    IoBuffer buffer() const { return segments_.buffer(); }

    template <typename T>
    UserInOut<T> field(size_t offset) const {
        return UserInOut<T>(address_ + offset);
    }

  private:
    uint64_t address_;
    msghdr header_;
    Segments segments_;
};

uint64_t element_address(UserInOut<mmsghdr> messages, unsigned index) {
    return messages.address() + index * sizeof(mmsghdr);
}

Result<void> write_length(uint64_t element, size_t length) {
    return UserOut<unsigned>(element + offsetof(mmsghdr, msg_len))
        .write(static_cast<unsigned>(length));
}

// An error behind the first message is not lost: the next call on the socket reports it where it
// is one of the socket's. Linux keeps it in SO_ERROR, and so forgets EAGAIN alone.
Result<long> receive_messages(Socket& socket, UserInOut<mmsghdr> messages, unsigned count,
                              uint32_t flags, Deadline deadline) {
    if (int error = socket.take_error(); error != 0) return Error(error);
    unsigned done = 0;
    uint32_t next_flags = flags & ~uint32_t{MSG_WAITFORONE};
    while (done < count) {
        const uint64_t element = element_address(messages, done);
        Result<size_t> received = receive_message(socket, element, next_flags);
        if (!received.ok()) {
            if (done == 0) return received.error();
            break;
        }
        if (!write_length(element, *received).ok()) {
            if (done == 0) return Error(EFAULT);
            break;
        }
        done++;
        if (flags & MSG_WAITFORONE) next_flags |= MSG_DONTWAIT;
        if (monotonic_ns() >= deadline.monotonic_ns) break;
    }
    return static_cast<long>(done);
}

}  // namespace

Result<size_t> send_message(Socket& socket, uint64_t address, uint32_t flags) {
    MessageHeader header(address);
    TRY(header.read());
    SocketAddress to;
    if (header.name() != 0) TRY(to.read(UserIn<char>(header.name()), header->msg_namelen));
    TRY(header.read_segments());
    ControlMessages control;
    if (header->msg_controllen > INT32_MAX) return Error(ENOBUFS);
    TRY(control.read(header.control(), header->msg_controllen));
    IoBuffer data = header.buffer();
    SendMessage message{.data = data,
                        .flags = with_nonblocking(socket, flags),
                        .to = to.length != 0 ? &to : nullptr,
                        .control = control.is_empty() ? nullptr : &control};
    return socket.send(message);
}

Result<size_t> receive_message(Socket& socket, uint64_t address, uint32_t flags) {
    MessageHeader header(address);
    TRY(header.read());
    TRY(header.read_segments());
    IoBuffer data = header.buffer();
    SocketAddress from;
    ControlWriter control(header.control(), header.control() != 0 ? header->msg_controllen : 0);
    ReceiveMessage message{.data = data,
                           .flags = with_nonblocking(socket, flags),
                           .from = header.name() != 0 ? &from : nullptr,
                           .control = &control};
    const size_t done = TRY(socket.receive(message));
    if (header.name() != 0) {
        TRY(from.write(UserOut<char>(header.name()),
                       header.field<unsigned>(offsetof(msghdr, msg_namelen))));
    }
    uint32_t result_flags = message.result_flags | (flags & MSG_CMSG_CLOEXEC);
    if (control.is_truncated()) result_flags |= MSG_CTRUNC;
    TRY(header.field<uint32_t>(offsetof(msghdr, msg_flags)).write(result_flags));
    TRY(header.field<size_t>(offsetof(msghdr, msg_controllen)).write(control.used()));
    return done;
}

Result<size_t> send_bytes(Socket& socket, uint64_t address, size_t count, uint32_t flags) {
    IoBuffer data = TRY(user_buffer(address, count));
    SendMessage message{.data = data, .flags = with_nonblocking(socket, flags)};
    return socket.send(message);
}

Result<size_t> receive_bytes(Socket& socket, uint64_t address, size_t count, uint32_t flags) {
    IoBuffer data = TRY(user_buffer(address, count));
    ReceiveMessage message{.data = data, .flags = with_nonblocking(socket, flags)};
    return socket.receive(message);
}

Result<long> sys_sendto(int fd, UserIn<char> buf, size_t count, unsigned flags,
                        UserIn<char> address, unsigned length) {
    IoBuffer data = TRY(user_buffer(buf.address(), count));
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    SendMessage message{.data = data, .flags = with_nonblocking(*socket, flags)};
    if (!address) return static_cast<long>(TRY(socket->send(message)));
    SocketAddress to;
    TRY(to.read(address, length));
    if (to.length != 0) message.to = &to;
    return static_cast<long>(TRY(socket->send(message)));
}

Result<long> sys_recvfrom(int fd, UserOut<char> buf, size_t count, unsigned flags,
                          UserOut<char> address, UserInOut<unsigned> length) {
    IoBuffer data = TRY(user_buffer(buf.address(), count));
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    ReceiveMessage message{.data = data, .flags = with_nonblocking(*socket, flags)};
    if (!address) return static_cast<long>(TRY(socket->receive(message)));
    SocketAddress from;
    message.from = &from;
    const size_t done = TRY(socket->receive(message));
    TRY(from.write(address, length));
    return static_cast<long>(done);
}

Result<long> sys_sendmsg(int fd, UserIn<msghdr> message, unsigned flags) {
    if (flags & kCompatMessage) return Error(EINVAL);
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    return static_cast<long>(TRY(send_message(*socket, message.address(), flags)));
}

Result<long> sys_recvmsg(int fd, UserInOut<msghdr> message, unsigned flags) {
    if (flags & kCompatMessage) return Error(EINVAL);
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    return static_cast<long>(TRY(receive_message(*socket, message.address(), flags)));
}

Result<long> sys_sendmmsg(int fd, UserInOut<mmsghdr> messages, unsigned count, unsigned flags) {
    if (flags & kCompatMessage) return Error(EINVAL);
    count = std::min(count, kMaxMessages);
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    unsigned done = 0;
    while (done < count) {
        const uint64_t element = element_address(messages, done);
        Result<size_t> sent = send_message(*socket, element, flags);
        if (!sent.ok()) {
            if (done == 0) return sent.error();
            break;
        }
        if (!write_length(element, *sent).ok()) {
            if (done == 0) return Error(EFAULT);
            break;
        }
        done++;
    }
    return static_cast<long>(done);
}

Result<long> sys_recvmmsg(int fd, UserInOut<mmsghdr> messages, unsigned count, unsigned flags,
                          UserInOut<timespec> timeout) {
    if (flags & kCompatMessage) return Error(EINVAL);
    Deadline deadline = Deadline::never();
    if (timeout) {
        timespec time = TRY(timeout.read());
        if (!is_valid(time)) return Error(EINVAL);
        deadline = Deadline::after(to_ns(time));
    }
    BorrowedSocket socket = TRY(BorrowedSocket::find(fd));
    const long done = TRY(receive_messages(*socket, messages, count, flags, deadline));
    if (timeout) {
        const uint64_t now = monotonic_ns();
        const uint64_t left = deadline.monotonic_ns > now ? deadline.monotonic_ns - now : 0;
        TRY(timeout.write(to_timespec(left)));
    }
    return done;
}

}  // namespace coracle
