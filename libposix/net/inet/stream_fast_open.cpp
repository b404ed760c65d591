// Fast Open of TCP sockets: MSG_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN (RFC 7413; Linux's
// tcp_fastopen.c and tcp_sendmsg_fastopen).
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_host.h"

namespace coracle::net {

namespace {
// What a SYN takes along at most, whatever the path carries.
constexpr size_t kLargestPiece = kFrameBufferCapacity - kPacketHeadroom;

bool is_on(uint32_t bit) {
    return tcp_stack().settings.fast_open & bit;
}

// The first data of a message. EFAULT, ENOBUFS.
Result<BufferPtr> read_first(IoBuffer& data, size_t size) {
    BufferPtr piece = Buffer::allocate(size + kPacketHeadroom, kPacketHeadroom);
    if (!piece) return Error(ENOBUFS);
    size_t copied = data.copy_in(piece->append(size), size);
    if (copied == 0) return Error(EFAULT);
    piece->truncate(copied);
    return piece;
}
}  // namespace

tcp::FastOpen StreamSocket::fast_open_mode() const {
    bool needs_none = tcp_.fast_open_without_cookie || is_on(tcp::kFastOpenSendWithoutCookie);
    return needs_none ? tcp::FastOpen::kWithoutCookie : tcp::FastOpen::kWithCookie;
}

// Before a send on a socket that is not established, or with MSG_FASTOPEN. True: it may go on, or
// fail, for reasons that every send looks at. False: it ends with the bytes that it has `sent`.
Result<bool> StreamSocket::connect_to_send(SendMessage& message, SocketWait& wait, size_t& sent) {
    const bool waits_for_data = connection_ && connection_->waits_for_data();
    if (message.flags & MSG_FASTOPEN && !waits_for_data) TRY(connect_fast(message, wait));
    if (connection_ && connection_->waits_for_data()) sent = TRY(send_with_syn(message, wait));
    if (sent && !wait.may_sleep()) return false;
    RefPtr<tcp::Connection> connection = connection_;
    auto is_ready = [&] {
        return !connection || connection->is_synchronized() || connection->is_early() ||
               connection->state == State::kClosed;
    };
    if (is_ready()) return true;
    Result<void> waited = wait.until(changed_, is_ready);
    if (waited.ok()) return true;
    if (sent) return false;
    return waited.error();
}

// MSG_FASTOPEN. EINPROGRESS: the SYN has been sent, without data.
Result<void> StreamSocket::connect_fast(const SendMessage& message, SocketWait& wait) {
    const bool is_unspecified = message.to && message.to->length >= sizeof(sa_family_t) &&
                                message.to->family() == AF_UNSPEC;
    if (!is_on(tcp::kFastOpenClient) || is_unspecified) return Error(EOPNOTSUPP);
    if (connect_is_pending_) {
        const bool is_open = state() == State::kSynSent || state() == State::kSynReceived;
        if (is_open && !wait.may_sleep()) return Error(EALREADY);
        return wait_for_connect(wait);
    }
    if (listener_ || state() != State::kClosed) return Error(EISCONN);
    if (!message.to || message.to->length < sizeof(sa_family_t)) return Error(EINVAL);
    if (connection_) disconnect();
    TRY(begin_connect(TRY(destination_of(*message.to)), fast_open_mode()));
    if (connection_->waits_for_data()) return {};
    // Even if the answer is here already, as over loopback (Linux looks for it later).
    if (!wait.may_sleep()) return Error(EINPROGRESS);
    return wait_for_connect(wait);
}

// Precondition: the SYN waits. How many bytes it took along; EINPROGRESS: none, and this may not
// wait for more.
Result<size_t> StreamSocket::send_with_syn(SendMessage& message, SocketWait& wait) {
    RefPtr<tcp::Connection> connection = connection_;
    // Pages that the message lends go after the handshake.
    const bool may_copy = !(message.flags & MSG_ZEROCOPY);
    size_t size = std::min(
        {message.data.size(), kLargestPiece, size_t{connection->syn_data_space()} * may_copy});
    BufferPtr piece;
    if (size) {
        Result<BufferPtr> read = read_first(message.data, size);
        if (read.ok()) piece = read.release_value();  // else the rest of the send will tell
    }
    // Another thread may have been quicker while the bytes were copied.
    if (!connection->waits_for_data()) return Error(EALREADY);
    const size_t taken = piece ? piece->length() : 0;
    {
        TcpScope scope;
        connection->send_with_syn(std::move(piece));
    }
    Result<void> connected = wait.may_sleep() ? wait_for_connect(wait) : Error(EINPROGRESS);
    if (connected.ok() || (taken && connected.error_code() == EINPROGRESS)) return taken;
    return connected.error();
}

Result<void> StreamSocket::set_fast_open_option(int option, int number) {
    const State now = state();
    const bool is_flag = option != TCP_FASTOPEN;
    if (number < 0 || (is_flag && number > 1)) return Error(EINVAL);
    if (option == TCP_FASTOPEN_CONNECT) {
        if (!is_on(tcp::kFastOpenClient)) return Error(EOPNOTSUPP);
        if (now != State::kClosed) return Error(EINVAL);
        fast_open_connect_ = number != 0;
        return {};
    }
    if (now != State::kClosed && now != State::kListen) return Error(EINVAL);
    if (option == TCP_FASTOPEN_NO_COOKIE) {
        tcp_.fast_open_without_cookie = number != 0;
    } else {
        fast_open_limit_ = std::min(static_cast<uint32_t>(number), uint32_t{kMaxBacklog});
        if (listener_) listener_->set_fast_open_limit(fast_open_limit_);
    }
    return {};
}

// To a new listener.
void StreamSocket::apply_fast_open() {
    if (!fast_open_limit_ && is_on(tcp::kFastOpenServer) && is_on(tcp::kFastOpenEveryListener)) {
        fast_open_limit_ = listener_->backlog;
    }
    listener_->set_fast_open_limit(fast_open_limit_);
}

}  // namespace coracle::net
