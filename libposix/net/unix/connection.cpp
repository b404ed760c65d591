// AF_UNIX: listen, connect and accept.
#include <poll.h>

#include "kernel-min/memory/heap.h"
#include "libposix/net/unix/unix_socket.h"
#include "libposix/process/process.h"

namespace coracle {

using State = UnixEndpoint::State;

Result<void> UnixSocket::listen(unsigned backlog) {
    UnixEndpoint& endpoint = *endpoint_;
    if (!endpoint.is_connection_based()) return Error(EOPNOTSUPP);
    if (!endpoint.address) return Error(EINVAL);
    if (endpoint.state == State::kConnected) return Error(EINVAL);
    endpoint.backlog = backlog;
    endpoint.state = State::kListening;
    endpoint.note_own_credentials();
    endpoint.room.wake_all();
    return {};
}

Result<void> UnixSocket::connect(const SocketAddress& address, bool nonblocking) {
    if (type() == SOCK_DGRAM) return connect_datagram(address);
    return connect_stream(address, nonblocking);
}

Result<void> UnixSocket::connect_stream(const SocketAddress& address, bool nonblocking) {
    const UnixName name = TRY(UnixName::parse(address));
    TRY(bind_if_needed());
    SocketWait wait = wait_to_send(nonblocking ? uint32_t{MSG_DONTWAIT} : 0);
    RefPtr<UnixEndpoint> accepted = TRY(make_ref<UnixEndpoint>(type()));
    RefPtr<UnixEndpoint> listener;
    auto is_open = [&] {
        return listener->state == State::kListening && !listener->is_shut(UnixEndpoint::kReceive);
    };
    for (;;) {
        listener = TRY(find_unix(name, type()));
        if (!is_open()) return Error(ECONNREFUSED);
        if (!listener->is_queue_full()) break;
        TRY(wait.until(listener->room, [&] { return !is_open() || !listener->is_queue_full(); }));
    }
    if (endpoint_->state == State::kConnected) return Error(EISCONN);
    if (endpoint_->state == State::kListening) return Error(EINVAL);

    accepted->connect_to(*endpoint_);
    accepted->address = listener->address;
    accepted->note_own_credentials();
    endpoint_->connect_to(*accepted);
    endpoint_->copy_peer_credentials(*listener);
    listener->pending.push_back(*accepted.leak_ref());
    listener->pending_count++;
    listener->wake(POLLIN | POLLRDNORM);
    return {};
}

Result<RefPtr<Socket>> UnixSocket::accept(bool nonblocking, uint32_t flags) {
    UnixEndpoint& endpoint = *endpoint_;
    if (!endpoint.is_connection_based()) return Error(EOPNOTSUPP);
    if (endpoint.state != State::kListening) return Error(EINVAL);
    SocketPlace place = TRY(make_socket_place());
    if (endpoint.pending.empty()) {
        SocketWait wait = wait_to_receive(nonblocking ? uint32_t{MSG_DONTWAIT} : 0);
        TRY(wait.until(endpoint.changed, [&] {
            return !endpoint.pending.empty() || endpoint.is_shut(UnixEndpoint::kReceive);
        }));
        if (endpoint.pending.empty()) return Error(EINVAL);
    }
    RefPtr<UnixEndpoint> accepted(&endpoint.pending.front());
    RefPtr<Socket> socket = TRY(make_ref<UnixSocket>(std::move(place), flags, kind(), accepted));
    endpoint.pending.pop_front();
    accepted->unref();
    endpoint.pending_count--;
    endpoint.room.wake_all();
    return socket;
}

Result<void> UnixSocket::connect_datagram(const SocketAddress& address) {
    if (address.length < sizeof(sa_family_t)) return Error(EINVAL);
    RefPtr<UnixEndpoint> other;
    if (address.family() != AF_UNSPEC) {
        const UnixName name = TRY(UnixName::parse(address));
        TRY(bind_if_needed());
        other = TRY(find_unix(name, type()));
        if (!may_send(*endpoint_, *other)) return Error(EPERM);
    }
    RefPtr<UnixEndpoint> old = std::exchange(endpoint_->peer, other);
    endpoint_->state = other ? State::kConnected : State::kUnconnected;
    if (other) endpoint_->copy_peer_credentials(*other);
    endpoint_->peer_room.unlink();
    if (old && old != other) disconnect_datagram(*endpoint_, *old);
    endpoint_->wake(POLLOUT | POLLWRNORM | POLLWRBAND);
    return {};
}

void disconnect_datagram(UnixEndpoint& endpoint, UnixEndpoint& old_peer) {
    SleepLockGuard guard(endpoint.reading);
    if (endpoint.queue.is_empty()) return;
    endpoint.queue.clear();
    endpoint.room.wake_all();
    // So that it does not wait for an answer to what is lost.
    if (!old_peer.dead && old_peer.peer.get() == &endpoint) {
        old_peer.error = ECONNRESET;
        old_peer.wake(POLLERR);
    }
}

}  // namespace coracle
