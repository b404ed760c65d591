#include "libposix/net/unix/unix_socket.h"

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "libposix/net/filter/filter_options.h"
#include "libposix/net/proc_net.h"

namespace coracle {
namespace {

using State = UnixEndpoint::State;

UnixSocketList sockets;

// What Linux's unix_create() takes. SOCK_RAW once was another word for datagrams.
Result<Socket::Kind> check_kind(Socket::Kind kind) {
    if (kind.protocol != 0 && kind.protocol != PF_UNIX) return Error(EPROTONOSUPPORT);
    if (kind.type == SOCK_RAW) kind.type = SOCK_DGRAM;
    if (kind.type != SOCK_STREAM && kind.type != SOCK_DGRAM && kind.type != SOCK_SEQPACKET) {
        return Error(ESOCKTNOSUPPORT);
    }
    kind.protocol = 0;
    return kind;
}

Result<RefPtr<UnixSocket>> make_socket(Socket::Kind kind, uint32_t flags) {
    kind = TRY(check_kind(kind));
    RefPtr<UnixEndpoint> endpoint = TRY(make_ref<UnixEndpoint>(kind.type));
    SocketPlace place = TRY(make_socket_place());
    return make_ref<UnixSocket>(std::move(place), flags, kind, std::move(endpoint));
}

void write_address(const UnixEndpoint& endpoint, SocketAddress& to) {
    if (endpoint.address) {
        endpoint.address->write_to(to);
    } else {
        write_unnamed(to);
    }
}

}  // namespace

UnixSocketList& unix_sockets() {
    return sockets;
}

UnixSocket::UnixSocket(SocketPlace place, uint32_t flags, Kind kind, RefPtr<UnixEndpoint> endpoint)
    : Socket(std::move(place.path), std::move(place.inode), flags, kind),
      endpoint_(std::move(endpoint)) {
    endpoint_->file = this;
    unix_sockets().push_back(*this);
}

UnixSocket::~UnixSocket() {
    endpoint_->close();
    collect_unreachable_sockets();
}

Result<RefPtr<Socket>> UnixSocket::create(Kind kind, uint32_t flags) {
    return RefPtr<Socket>(TRY(make_socket(kind, flags)));
}

Result<SocketPair> UnixSocket::create_pair(Kind kind, uint32_t flags) {
    RefPtr<UnixSocket> first = TRY(make_socket(kind, flags));
    RefPtr<UnixSocket> second = TRY(make_socket(kind, flags));
    first->endpoint().connect_to(second->endpoint());
    second->endpoint().connect_to(first->endpoint());
    first->endpoint().note_own_credentials();
    second->endpoint().note_own_credentials();
    return SocketPair{std::move(first), std::move(second)};
}

Result<void> UnixSocket::bind_if_needed() {
    if (!sees_credentials()) return {};
    return autobind_unix(*endpoint_);
}

Result<void> UnixSocket::bind(const SocketAddress& address) {
    if (UnixName::is_unnamed(address)) return autobind_unix(*endpoint_);
    return bind_unix(*endpoint_, TRY(UnixName::parse(address)));
}

Result<void> UnixSocket::shutdown(int how) {
    const auto direction = static_cast<uint8_t>(how + 1);
    endpoint_->shut_down |= direction;
    endpoint_->wake(kAnyEvents);
    endpoint_->room.wake_all();
    UnixEndpoint* peer = endpoint_->peer.get();
    if (!peer || !endpoint_->is_connection_based()) return {};
    if (direction & UnixEndpoint::kReceive) peer->shut_down |= UnixEndpoint::kSend;
    if (direction & UnixEndpoint::kSend) peer->shut_down |= UnixEndpoint::kReceive;
    peer->wake(kAnyEvents);
    return {};
}

Result<void> UnixSocket::local_address(SocketAddress& to) {
    write_address(*endpoint_, to);
    return {};
}

Result<void> UnixSocket::peer_address(SocketAddress& to) {
    if (!endpoint_->peer) return Error(ENOTCONN);
    write_address(*endpoint_->peer, to);
    return {};
}

Result<size_t> UnixSocket::send(SendMessage& message) {
    switch (type()) {
        case SOCK_STREAM:
            return send_stream(message);
        case SOCK_DGRAM:
            return send_datagram(message, false);
        default:
            if (int error = endpoint_->take_error(); error != 0) return Error(error);
            if (endpoint_->state != State::kConnected) return Error(ENOTCONN);
            return send_datagram(message, true);
    }
}

Result<size_t> UnixSocket::receive(ReceiveMessage& message) {
    if (type() == SOCK_STREAM) return receive_stream(message);
    if (type() == SOCK_SEQPACKET && endpoint_->state != State::kConnected) return Error(ENOTCONN);
    return receive_datagram(message);
}

void UnixSocket::option_changed(int option) {
    if (option == SO_PASSCRED) endpoint_->passes_credentials = sees_credentials();
    if (net::is_filter_change(option)) endpoint_->filter = options.filter;
    if (option == SO_SNDBUF || option == SO_SNDBUFFORCE) {
        endpoint_->send_buffer = options.send_buffer;
        endpoint_->wake(kAnyEvents);
    }
}

Result<size_t> UnixSocket::bytes_to_receive() {
    if (is_listening()) return Error(EINVAL);
    const UnixMessageQueue& queue = endpoint_->queue;
    if (endpoint_->is_connection_based()) return queue.bytes();
    return queue.is_empty() ? size_t{0} : size_t{message_of(*queue.first()).length};
}

Result<size_t> UnixSocket::bytes_to_send() {
    return size_t{endpoint_->send_used};
}

uint32_t UnixSocket::poll_events() {
    UnixEndpoint& endpoint = *endpoint_;
    uint32_t events = 0;
    if (endpoint.error != 0) events |= POLLERR;
    if (endpoint.shut_down == UnixEndpoint::kBoth) events |= POLLHUP;
    if (endpoint.is_shut(UnixEndpoint::kReceive)) events |= POLLRDHUP | POLLIN | POLLRDNORM;
    if (!endpoint.queue.is_empty() || !endpoint.pending.empty()) events |= POLLIN | POLLRDNORM;
    if (endpoint.urgent) events |= POLLPRI;
    if (endpoint.is_connection_based() && endpoint.state == State::kUnconnected) events |= POLLHUP;
    if (!endpoint.is_writable()) return events;
    UnixEndpoint* peer = endpoint.peer.get();
    if (type() != SOCK_STREAM && peer && peer->peer.get() != &endpoint && peer->is_queue_full()) {
        if (!endpoint.peer_room.is_linked()) peer->room.add(endpoint.peer_room);
        return events;
    }
    return events | POLLOUT | POLLWRNORM | POLLWRBAND;
}

size_t peek_offset(const Socket& socket, uint32_t flags) {
    if (!(flags & MSG_PEEK)) return 0;
    return static_cast<size_t>(std::max(socket.options.peek_offset, 0));
}

void advance_peek_offset(Socket& socket, size_t size) {
    if (socket.options.peek_offset >= 0) socket.options.peek_offset += static_cast<int>(size);
}

void rewind_peek_offset(Socket& socket, size_t size) {
    int& offset = socket.options.peek_offset;
    if (offset > 0) offset = std::max(offset - static_cast<int>(size), 0);
}

void register_unix_sockets() {
    net::show_unix_sockets = write_unix_table;
    register_socket_family({AF_UNIX, UnixSocket::create, UnixSocket::create_pair});
}

}  // namespace coracle
