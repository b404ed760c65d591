// AF_UNIX datagram and seqpacket sockets: whole messages.
#include <poll.h>

#include <algorithm>

#include "libposix/net/unix/ancillary.h"
#include "libposix/net/unix/unix_socket.h"

namespace coracle {
namespace {

using State = UnixEndpoint::State;

constexpr size_t kOverhead = 32;  // what Linux keeps of SO_SNDBUF

// The message that a read takes, or that a peek looks at behind `skip` bytes, which becomes the
// offset in it. Null: there is none.
net::Buffer* find_message(const UnixMessageQueue& queue, size_t& skip) {
    for (net::Buffer* packet = queue.first(); packet; packet = UnixMessageQueue::after(packet)) {
        const size_t length = message_of(*packet).length;
        if (skip < length || skip == 0) return packet;
        skip -= length;
    }
    return nullptr;
}

// The connected peer of `endpoint` was closed.
Result<void> lose_peer(UnixEndpoint& endpoint, UnixEndpoint& peer) {
    if (endpoint.is_connection_based()) return Error(EPIPE);
    if (endpoint.peer.get() != &peer) return {};
    RefPtr<UnixEndpoint> old = std::exchange(endpoint.peer, nullptr);
    endpoint.state = State::kUnconnected;
    disconnect_datagram(endpoint, *old);
    return Error(ECONNREFUSED);
}

// Cuts the message if the receiver's filter does. False: it is to be dropped.
bool passes_filter(const UnixEndpoint& to, UnixPacket& packet) {
    const uint32_t kept = to.filter->run({.chain = packet.buffer()});
    packet.message().length = std::min(packet.message().length, kept);
    return kept != 0;
}

void write_from(const UnixMessage& message, SocketAddress* to) {
    if (to && message.from) message.from->write_to(*to);
}

}  // namespace

Result<size_t> UnixSocket::send_datagram(SendMessage& message, bool to_peer_only) {
    UnixEndpoint& endpoint = *endpoint_;
    UnixAncillary ancillary = TRY(UnixAncillary::read(message));
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    UnixName name;
    RefPtr<UnixEndpoint> to;
    const bool is_named = message.to && !to_peer_only;
    if (is_named) {
        name = TRY(UnixName::parse(*message.to));
    } else {
        to = endpoint.peer;
        if (!to) return Error(ENOTCONN);
    }
    TRY(bind_if_needed());
    const size_t size = message.data.size();
    if (size + kOverhead > endpoint.send_buffer) return Error(EMSGSIZE);

    SocketWait wait = wait_to_send(message.flags);
    TRY(wait_for_send_buffer(endpoint, wait));
    UnixPacket packet = TRY(UnixPacket::allocate(endpoint, size));
    TRY(copy_packet_in(packet.buffer(), size, message.data));

    bool is_filtered = false;  // by the filter of `to`
    for (;;) {
        if (!to) {
            if (!is_named) return Error(ECONNRESET);
            to = TRY(find_unix(name, type()));
            is_filtered = false;
        }
        if (to->filter && !std::exchange(is_filtered, true) && !passes_filter(*to, packet)) {
            return size;
        }
        if (!may_send(endpoint, *to)) return Error(EPERM);
        if (to->dead) {
            TRY(lose_peer(endpoint, *to));
            to = nullptr;
            continue;
        }
        if (to->is_shut(UnixEndpoint::kReceive)) return Error(EPIPE);
        const bool is_limited = to.get() != &endpoint && to->peer.get() != &endpoint;
        if (!is_limited || !to->is_queue_full()) break;
        TRY(wait.until(to->room, [&] {
            return to->dead || to->is_shut(UnixEndpoint::kReceive) || !to->is_queue_full();
        }));
    }
    ancillary.choose_credentials(endpoint.passes_credentials || to->passes_credentials ||
                                 !to->file);
    packet.message().credentials = ancillary.credentials;
    if (ancillary.rights) {
        TRY(launch_rights(*ancillary.rights));
        packet.message().rights = ancillary.rights.release();
    }
    if (endpoint.address) {
        endpoint.address->ref();
        packet.message().from = endpoint.address.get();
    }
    to->queue.push(std::move(packet));
    to->wake(POLLIN | POLLRDNORM);
    return size;
}

Result<size_t> UnixSocket::receive_datagram(ReceiveMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    if (message.flags & MSG_OOB) return Error(EOPNOTSUPP);
    const bool peeks = message.flags & MSG_PEEK;
    SocketWait wait = wait_to_receive(message.flags);
    SleepLock* const lock = &endpoint.reading;
    net::Buffer* found;
    size_t offset;
    for (;;) {
        // A peek keeps its place in the queue while it copies; a read takes the message out.
        lock->lock();
        if (int error = endpoint.take_error(); error != 0) {
            lock->unlock();
            return Error(error);
        }
        offset = peek_offset(*this, message.flags);
        found = find_message(endpoint.queue, offset);
        if (found) break;
        lock->unlock();
        const bool is_shut = endpoint.is_shut(UnixEndpoint::kReceive);
        if (is_shut && (wait.may_sleep() || type() == SOCK_SEQPACKET)) return size_t{0};
        TRY(wait.until(endpoint.changed, [&] {
            size_t skip = peek_offset(*this, message.flags);
            return find_message(endpoint.queue, skip) || endpoint.error != 0 ||
                   endpoint.is_shut(UnixEndpoint::kReceive);
        }));
    }
    UnixPacket packet;
    if (!peeks) {
        packet = endpoint.queue.pop();
        lock->unlock();
        endpoint.room.wake_all(POLLOUT | POLLWRNORM | POLLWRBAND);
    }
    UnixMessage& info = message_of(*found);
    write_from(info, message.from);
    const size_t available = info.length - offset;
    const size_t part = std::min(available, message.data.size());
    if (part < available) message.result_flags |= MSG_TRUNC;
    const size_t moved = copy_packet_out(*found, offset, part, message.data);
    UnixReceived received;
    received.start(info);
    if (peeks) {
        if (moved == part) {
            advance_peek_offset(*this, part);
            if (info.rights) {
                Result<UnixRightsPtr> copy = copy_rights(*info.rights);
                if (copy.ok()) received.take_rights(copy.release_value());
            }
        }
        lock->unlock();
    } else {
        rewind_peek_offset(*this, info.length);
        if (info.rights) {
            land_rights(*info.rights);
            received.take_rights(UnixRightsPtr(std::exchange(info.rights, nullptr)));
        }
    }
    if (moved < part) return Error(EFAULT);
    received.deliver(message, sees_credentials());
    return message.flags & MSG_TRUNC ? available : part;
}

}  // namespace coracle
