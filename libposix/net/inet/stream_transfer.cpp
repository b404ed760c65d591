// send(2) and recv(2) of TCP sockets.
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_host.h"

namespace coracle::net {

namespace {
constexpr size_t kLargestPiece = kLargeBufferCapacity - kPacketHeadroom;
constexpr size_t kMediumPiece = buffer_capacity(3) - kPacketHeadroom;
// Fewer bytes of a page cost less to copy than to refer to.
constexpr size_t kLeastOfPage = 2048;
}  // namespace

// The next bytes of a message in a buffer of their own. EFAULT; ENOBUFS.
Result<BufferPtr> StreamSocket::read_piece(IoBuffer& data, ZeroCopySend* send) {
    // More than the buffer has room for is queued rather than cut in small pieces.
    size_t space = std::max(connection_->send_space(), kMediumPiece);
    size_t size = std::min({data.size(), kLargestPiece, space});
    if (send && !send->is_copied()) return send->take_pages(data, size);
    if (data.flags & IoBuffer::kStablePages && size >= kLeastOfPage) {
        return take_stable_page(data, size);
    }
    BufferPtr piece = Buffer::allocate(size + kPacketHeadroom, kPacketHeadroom);
    if (!piece && size > kMediumPiece) {
        size = kMediumPiece;
        piece = Buffer::allocate(size + kPacketHeadroom, kPacketHeadroom);
    }
    if (!piece) return Error(ENOBUFS);
    size_t copied = data.copy_in(piece->append(size), size);
    if (copied == 0) return Error(EFAULT);
    piece->truncate(copied);
    return piece;
}

Result<RefPtr<ZeroCopySend>> StreamSocket::begin_zero_copy(const SendMessage& message) {
    const bool is_wanted = message.flags & MSG_ZEROCOPY && options.is_on(SO_ZEROCOPY);
    if (!is_wanted || message.data.is_empty()) return RefPtr<ZeroCopySend>();
    auto route =
        find_route(remote_.address, local_.address, static_cast<uint32_t>(options.bound_device));
    const bool is_copied = !route.ok() || !can_send_pages(route.value());
    return ZeroCopySend::begin(zero_copy_, errors_, changed_, is_copied);
}

// Under the kernel lock held locally: whether that is enough, or other sockets, the routes or the
// process may be needed.
bool StreamSocket::is_plain(uint32_t flags, uint32_t plain_flags) const {
    return connection_ && connection_->state == State::kEstablished && !connection_->error_code &&
           !(flags & ~plain_flags);
}

Result<size_t> StreamSocket::send(SendMessage& message) {
    if (cpu_count > 1) {
        constexpr uint32_t kPlain = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_MORE;
        use_lock(is_plain(message.flags, kPlain) && !message.to);
    }
    SocketWait wait = wait_to_send(message.flags);
    size_t sent = 0;
    if (state() != State::kEstablished || message.flags & MSG_FASTOPEN) [[unlikely]] {
        if (!TRY(connect_to_send(message, wait, sent))) return sent;
    }
    RefPtr<tcp::Connection> connection = connection_;
    auto fail = [&](int error) -> Error {
        if (error != EPIPE) return Error(error);
        return broken_pipe(message.flags);
    };
    if (!connection || listener_) return fail(EPIPE);
    connect_is_pending_ = connect_is_pending_ && connection->state == State::kClosed;
    RefPtr<ZeroCopySend> zero_copy;
    if (message.flags & MSG_ZEROCOPY) [[unlikely]]
        zero_copy = TRY(begin_zero_copy(message));
    while (!message.data.is_empty()) {
        bool may_send = !connection->error_code && !connection->send_shut;
        if (may_send && connection->send_space() == 0) {
            // Of one that may not sleep, an edge-triggered epoll waits for the event.
            connection->want_space_event = true;
            Result<void> waited = wait.until(changed_, [&] {
                if (connection->error_code || connection->send_shut || connection->is_writable()) {
                    return true;
                }
                // Asked for each time: what woke us may have been used up since, by the memory that
                // cutting a segment costs.
                connection->want_space_event = true;
                return false;
            });
            if (!waited.ok()) {
                if (sent) break;
                return waited.error();
            }
            continue;
        }
        if (!may_send) {
            if (sent) break;
            int error = std::exchange(connection->error_code, 0);
            return fail(error ? error : EPIPE);
        }
        auto piece = read_piece(message.data, zero_copy.get());
        if (!piece.ok()) {
            if (sent) break;
            return piece.error();
        }
        size_t size = zero_copy ? piece.value()->chain_length() : piece.value()->length();
        uint8_t flags = 0;
        if (message.flags & MSG_MORE || !message.data.is_empty()) flags |= tcp::kSendMore;
        if (message.flags & MSG_OOB && message.data.is_empty()) flags |= tcp::kSendUrgent;
        TcpScope scope;
        Result<void> queued = connection->send(piece.release_value(), flags);
        if (!queued.ok()) {
            if (sent) break;
            return fail(queued.error_code());
        }
        sent += size;
        if (zero_copy) zero_copy->count();
    }
    // Autotuning shows in SO_SNDBUF.
    if (!options.send_buffer_locked) options.send_buffer = connection->send_buffer_limit();
    return sent;
}

Result<size_t> StreamSocket::receive_urgent(ReceiveMessage& message) {
    tcp::Connection& connection = *connection_;
    bool ended = connection.state == State::kClosed || receive_is_shut_;
    Result<uint8_t> byte = connection.read_urgent(message.flags & MSG_PEEK);
    if (!byte.ok()) {
        if (byte.error_code() == EAGAIN && ended) return size_t{0};
        return byte.error();
    }
    message.result_flags |= MSG_OOB;
    if (message.data.is_empty()) {
        message.result_flags |= MSG_TRUNC;
        return size_t{0};
    }
    uint8_t value = byte.value();
    if (message.flags & MSG_TRUNC) return size_t{1};
    if (message.data.copy_out(&value, 1) != 1) return Error(EFAULT);
    return size_t{1};
}

// Moves what is readable up to the next urgent byte or the end of the first buffer. False: there is
// nothing, or the urgent mark ends this receive. `peeked`: bytes to pass over, for MSG_PEEK.
Result<bool> StreamSocket::receive_some(ReceiveMessage& message, size_t& done, size_t& peeked) {
    tcp::Connection& connection = *connection_;
    bool peeks = message.flags & MSG_PEEK;
    bool drops = message.flags & MSG_TRUNC;
    size_t wanted = message.data.size() - (drops ? done : 0);
    if (wanted == 0 || connection.readable_bytes() <= peeked) return false;
    if (connection.has_urgent() && !peeks) {
        uint32_t distance = connection.urgent_distance();
        if (distance == 0) {
            if (connection.options.urgent_inline) {
                if (done) return false;  // reads stop before the mark
                connection.urgent_passed();
            } else {
                if (done) return false;
                // The urgent byte is not part of the stream.
                BufferPtr first = connection.take_received();
                first->pull(1);
                connection.urgent_passed();
                if (first->length()) connection.put_back(std::move(first));
                TcpScope scope;
                connection.note_read(1);
                return true;
            }
        } else if (distance < wanted) {
            wanted = distance;
        }
    }
    size_t skip = peeked;
    if (peeks) {
        Buffer* piece = connection.receive_queue.first();
        for (; piece && skip >= piece->length(); piece = BufferQueue::after(piece)) {
            skip -= piece->length();
        }
        size_t size = std::min(wanted, piece->length() - skip);
        size_t moved = drops ? size : message.data.copy_out(piece->data() + skip, size);
        if (moved == 0) return Error(EFAULT);
        peeked += moved;
        done += moved;
        return true;
    }
    // Out of the queue while the copy may sleep: the rest goes back before another reader looks.
    BufferPtr piece = connection.take_received();
    size_t size = std::min<size_t>(wanted, piece->length());
    size_t moved = drops ? size : message.data.copy_out(piece->data(), size);
    piece->pull(moved);
    if (piece->length()) connection.put_back(std::move(piece));
    if (moved == 0) return Error(EFAULT);
    done += moved;
    TcpScope scope;
    connection.note_read(static_cast<uint32_t>(moved));
    return true;
}

Result<size_t> StreamSocket::receive(ReceiveMessage& message) {
    if (cpu_count > 1) {
        constexpr uint32_t kPlain = MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC | MSG_WAITALL;
        use_lock(is_plain(message.flags, kPlain));
    }
    if (message.flags & MSG_ERRQUEUE) return errors_.receive(family(), message);
    RefPtr<tcp::Connection> connection = connection_;
    if (!connection || listener_) return Error(ENOTCONN);
    if (message.flags & MSG_OOB) return receive_urgent(message);
    size_t size = message.data.size();
    auto low_water = static_cast<size_t>(std::max(options.receive_low_water, 1));
    size_t target = message.flags & MSG_WAITALL ? size : std::min(low_water, size);
    SocketWait wait = wait_to_receive(message.flags);
    size_t done = 0, peeked = 0;
    SleepLockGuard guard(reading_);
    for (;;) {
        Result<bool> moved = receive_some(message, done, peeked);
        if (!moved.ok()) return done ? Result<size_t>(done) : moved.error();
        if (moved.value()) continue;
        if (done >= target ||
            (message.flags & MSG_TRUNC ? done == size : message.data.is_empty())) {
            break;
        }
        // An urgent byte ends what has been read.
        if (done && connection->readable_bytes() > peeked) break;
        if (done && (connection->error_code || connection->has_end_of_file())) break;
        if (connection->error_code) return Error(std::exchange(connection->error_code, 0));
        if (connection->fin_received || receive_is_shut_ || connection->reset_received ||
            connection->state == State::kClosed) {
            break;
        }
        reading_.unlock();
        Result<void> waited = wait.until(changed_, [&] {
            return connection->readable_bytes() > peeked || connection->error_code ||
                   connection->fin_received || receive_is_shut_ ||
                   connection->state == State::kClosed;
        });
        reading_.lock();
        if (!waited.ok()) {
            if (done) break;
            return waited.error();
        }
    }
    if (!options.receive_buffer_locked) {
        options.receive_buffer = connection->receive_buffer_limit();
    }
    if (tells_unread_ && message.control) [[unlikely]] {
        // Who reads until there is nothing left must not miss the end.
        const int unread =
            std::max(static_cast<int>(connection->readable_bytes()), int{connection->fin_received});
        message.put_control(IPPROTO_TCP, TCP_CM_INQ, &unread, sizeof(unread));
    }
    return done;
}

}  // namespace coracle::net
