// AF_UNIX stream sockets: bytes in both directions, with descriptors between them.
#include <poll.h>

#include <algorithm>

#include "libposix/files/io_signal.h"
#include "libposix/net/unix/ancillary.h"
#include "libposix/net/unix/unix_socket.h"

namespace coracle {
namespace {

using State = UnixEndpoint::State;

constexpr size_t kMaxPiece = net::buffer_capacity(3);
// Up to here, bytes are worth a second copy to lie behind those sent before.
constexpr size_t kMaxAppended = net::buffer_capacity(1);

bool can_append(const UnixEndpoint& to, const UnixEndpoint& sender, const UnixPacket& packet) {
    net::Buffer* last = to.queue.last();
    if (!last || last == to.urgent ||
        packet.buffer().length() > std::min(kMaxAppended, last->tailroom()))
        return false;
    const UnixMessage& before = message_of(*last);
    const UnixMessage& message = packet.message();
    // An empty one is the mark of an urgent byte.
    return before.length != 0 && before.sender == &sender && !before.rights && !message.rights &&
           before.credentials == message.credentials;
}

void deliver(UnixEndpoint& to, const UnixEndpoint& sender, UnixPacket packet) {
    if (can_append(to, sender, packet)) {
        to.queue.append(packet.buffer().data(), packet.buffer().length());
    } else {
        to.queue.push(std::move(packet));
    }
    to.wake(POLLIN | POLLRDNORM);
}

void deliver_urgent(UnixEndpoint& to, UnixPacket packet) {
    to.urgent = &packet.buffer();
    to.queue.push(std::move(packet));
    if (to.file) send_urgent_signal(*to.file);
    to.wake(POLLIN | POLLRDNORM | POLLPRI);
}

bool is_gone(const UnixEndpoint& peer) {
    return peer.dead || peer.is_shut(UnixEndpoint::kReceive);
}

}  // namespace

Result<size_t> UnixSocket::send_stream(SendMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    UnixAncillary ancillary = TRY(UnixAncillary::read(message));
    const bool has_urgent = message.flags & MSG_OOB;
    if (has_urgent && message.data.is_empty()) return Error(EOPNOTSUPP);
    if (message.to) return Error(endpoint.state == State::kConnected ? EISCONN : EOPNOTSUPP);
    RefPtr<UnixEndpoint> peer = endpoint.peer;
    if (!peer) return Error(ENOTCONN);
    if (endpoint.is_shut(UnixEndpoint::kSend)) return broken_pipe(message.flags);
    ancillary.choose_credentials(endpoint.passes_credentials || peer->passes_credentials ||
                                 !peer->file);

    SocketWait wait = wait_to_send(message.flags);
    const size_t max_piece = std::min<size_t>(kMaxPiece, endpoint.send_buffer / 2 - 64);
    size_t sent = 0;
    auto answer = [&](Error error) -> Result<size_t> {
        if (sent != 0) return sent;
        return error;
    };
    while (!message.data.is_empty()) {
        Result<void> room = wait_for_send_buffer(endpoint, wait);
        if (!room.ok()) {
            if (sent == 0 && room.error_code() == EPIPE) return broken_pipe(message.flags);
            return answer(room.error());
        }
        // The last byte, if it is urgent, has a packet of its own.
        const size_t left = message.data.size();
        const bool is_urgent = has_urgent && left == 1;
        const size_t size = is_urgent ? 1 : std::min(left - has_urgent, max_piece);
        Result<UnixPacket> packet = UnixPacket::allocate(endpoint, size);
        if (!packet.ok()) return answer(packet.error());
        packet->message().credentials = ancillary.credentials;
        Result<void> copied = copy_packet_in(packet->buffer(), size, message.data);
        if (!copied.ok()) return answer(copied.error());
        if (is_gone(*peer)) return sent != 0 ? Result<size_t>(sent) : broken_pipe(message.flags);
        if (ancillary.rights) {
            TRY(launch_rights(*ancillary.rights));
            packet->message().rights = ancillary.rights.release();
        }
        if (is_urgent) {
            deliver_urgent(*peer, packet.release_value());
        } else {
            deliver(*peer, endpoint, packet.release_value());
        }
        sent += size;
    }
    return sent;
}

Result<size_t> UnixSocket::receive_stream(ReceiveMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    if (endpoint.state != State::kConnected) return Error(EINVAL);
    if (message.flags & MSG_OOB) return receive_urgent(message);
    const bool peeks = message.flags & MSG_PEEK;
    const size_t size = message.data.size();
    const auto low_water = static_cast<size_t>(options.receive_low_water);
    const size_t target =
        std::max<size_t>(message.flags & MSG_WAITALL ? size : std::min(low_water, size), 1);
    SocketWait wait = wait_to_receive(message.flags);
    UnixReceived received;
    size_t done = 0, skip = peek_offset(*this, message.flags);
    int error = 0;

    endpoint.reading.lock();
    do {
        const auto [packet, offset, is_mark] = find_data(skip, peeks, done != 0);
        if (!packet) {
            if (done >= target || is_mark) break;
            if ((error = endpoint.take_error()) != 0) break;
            if (endpoint.is_shut(UnixEndpoint::kReceive)) break;
            endpoint.reading.unlock();
            Result<void> waited = wait.until(endpoint.changed, [&] {
                const Position next = find_data(skip, true, done != 0);
                return next.packet || next.is_mark || endpoint.error != 0 ||
                       endpoint.is_shut(UnixEndpoint::kReceive);
            });
            endpoint.reading.lock();
            error = waited.error_code();
            if (error != 0) break;
            continue;
        }
        UnixMessage& found = message_of(*packet);
        if (!received.may_continue(found, sees_credentials())) break;
        received.start(found);
        if (message.from && message.from->length == 0 && endpoint.peer && endpoint.peer->address) {
            endpoint.peer->address->write_to(*message.from);
        }
        const size_t part = std::min(found.length - offset, size - done);
        if (copy_packet_out(*packet, offset, part, message.data) < part) {
            error = EFAULT;
            break;
        }
        done += part;
        if (peeks) {
            skip += part;
            advance_peek_offset(*this, part);
            if (!found.rights) continue;
            Result<UnixRightsPtr> copy = copy_rights(*found.rights);
            if (copy.ok()) received.take_rights(copy.release_value());
            break;
        }
        rewind_peek_offset(*this, part);
        if (found.rights) {
            land_rights(*found.rights);
            received.take_rights(UnixRightsPtr(std::exchange(found.rights, nullptr)));
        }
        endpoint.queue.consume(*packet, part);
        if (found.length != 0) break;
        endpoint.queue.pop();
    } while (done < size && !received.has_rights());
    endpoint.reading.unlock();

    if (received.has_started()) received.deliver(message, sees_credentials());
    if (done == 0 && error != 0) return Error(error);
    return done;
}

}  // namespace coracle
