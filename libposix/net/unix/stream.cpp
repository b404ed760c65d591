// AF_UNIX stream sockets: bytes in both directions, with descriptors between them.
#include <poll.h>

#include <algorithm>

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
    if (!last || packet.buffer().length() > std::min(kMaxAppended, last->tailroom())) return false;
    const UnixMessage& before = message_of(*last);
    const UnixMessage& message = packet.message();
    return before.sender == &sender && !before.rights && !message.rights &&
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

bool is_gone(const UnixEndpoint& peer) {
    return peer.dead || peer.is_shut(UnixEndpoint::kReceive);
}

// The packet that a read looks at: behind `skip` bytes, which a peek has seen before. `skip`
// becomes the offset in it. Null: there is none.
net::Buffer* find_packet(const UnixMessageQueue& queue, size_t& skip) {
    for (net::Buffer* packet = queue.first(); packet; packet = UnixMessageQueue::after(packet)) {
        const size_t length = message_of(*packet).length;
        if (skip < length || (skip == 0 && length == 0)) return packet;
        skip -= length;
    }
    return nullptr;
}

}  // namespace

Result<size_t> UnixSocket::send_stream(SendMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    UnixAncillary ancillary = TRY(UnixAncillary::read(message));
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
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
        const size_t size = std::min(message.data.size(), max_piece);
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
        deliver(*peer, endpoint, packet.release_value());
        sent += size;
    }
    return sent;
}

Result<size_t> UnixSocket::receive_stream(ReceiveMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    if (endpoint.state != State::kConnected) return Error(EINVAL);
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
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
        size_t offset = skip;
        net::Buffer* packet = find_packet(endpoint.queue, offset);
        if (!packet) {
            if (done >= target) break;
            if ((error = endpoint.take_error()) != 0) break;
            if (endpoint.is_shut(UnixEndpoint::kReceive)) break;
            endpoint.reading.unlock();
            Result<void> waited = wait.until(endpoint.changed, [&] {
                size_t unused = skip;
                return find_packet(endpoint.queue, unused) || endpoint.error != 0 ||
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
        endpoint.queue.consume(part);
        if (found.length != 0) break;
        endpoint.queue.pop();
    } while (done < size && !received.has_rights());
    endpoint.reading.unlock();

    if (received.has_started()) received.deliver(message, sees_credentials());
    if (done == 0 && error != 0) return Error(error);
    return done;
}

}  // namespace coracle
