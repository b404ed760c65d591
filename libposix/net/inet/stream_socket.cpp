#include "libposix/net/inet/stream_socket.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "kernel-min/memory/heap.h"
#include "libposix/files/io_signal.h"
#include "libposix/net/inet/stream_ports.h"
#include "libposix/net/inet/tcp_filter.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/receive_steering.h"
#include "libposix/process/process.h"

namespace coracle::net {

Result<RefPtr<Socket>> create_stream_socket(Socket::Kind kind, uint32_t flags) {
    SocketPlace place = TRY(make_socket_place());
    return RefPtr<Socket>(TRY(make_ref<StreamSocket>(std::move(place), flags, kind)));
}

StreamSocket::StreamSocket(SocketPlace place, uint32_t flags, Kind kind)
    : Socket(std::move(place.path), std::move(place.inode), flags, kind),
      user_(current_credentials().euid) {
    if (kind.family == AF_INET) local_.address = remote_.address = IpAddress::any_v4();
    inet_.multicast_all = kind.family == AF_INET;
    options.send_buffer = tcp_stack().settings.send_memory.initial;
    options.receive_buffer = tcp_stack().settings.receive_memory.initial;
}

StreamSocket::~StreamSocket() {
    if (zero_copy_) zero_copy_->detach();
    if (listener_) {
        TcpScope scope;
        tcp_stack().stop_listening(*listener_);
    }
    if (!connection_) return;
    leave_home();
    linger();
    TcpScope scope;
    connection_->close(connection_->options.resets_on_close);
}

// SO_LINGER: close(2) waits until the data has arrived.
void StreamSocket::linger() {
    if (!options.linger || options.linger_seconds == 0 || connection_->readable_bytes()) return;
    {
        TcpScope scope;
        connection_->shutdown_send();
    }
    auto is_done = [&] {
        State now = connection_->state;
        return now != State::kSynReceived && now != State::kFinWait1 && now != State::kClosing &&
               now != State::kLastAck;
    };
    if (is_done() || is_nonblocking()) return;
    (void)wait_until(changed_, Deadline::after(options.linger_seconds * tcp::kSecond), is_done)
        .ok();
}

void StreamSocket::leave_home() {
    home = kNoHome;
    if (connection_) connection_->home = kNoHome;
}

// At a use under the kernel lock held alone.
void StreamSocket::settle() {
    const bool can_settle = connection_ && connection_->state == State::kEstablished &&
                            !connection_->path_is_loopback && !tcp_filters_exist;
    if (!can_settle || !should_settle(changed_)) return;
    process_handed_over();
    home = connection_->home = current_cpu()->id;
}

StreamSocket::State StreamSocket::state() const {
    if (listener_) return State::kListen;
    return connection_ ? connection_->state : State::kClosed;
}

tcp::ConnectionOptions StreamSocket::connection_options() const {
    tcp::ConnectionOptions chosen = tcp_;
    IpOutput ip;
    ip.destination = remote_.address;
    inet_.apply(ip, *this);
    chosen.ip = {ip.traffic_class, ip.hop_limit, ip.interface_index, !ip.dont_fragment};
    if (remote_.scope) chosen.ip.interface_index = remote_.scope;
    // Path MTU discovery is on unless it was switched off.
    chosen.ip.dont_discover_mtu = inet_.mtu_discover == IP_PMTUDISC_DONT;
    chosen.sharing = sharing();
    chosen.max_pacing_rate = options.max_pacing_rate;
    chosen.filter = options.filter;
    chosen.least_hops = static_cast<uint8_t>(inet_.min_ttl);
    chosen.least_hops_v6 = static_cast<uint8_t>(inet_.v6_min_hops);
    chosen.keep_alive = options.is_on(SO_KEEPALIVE);
    chosen.urgent_inline = options.is_on(SO_OOBINLINE);
    chosen.resets_on_close = options.linger && options.linger_seconds == 0;
    if (options.send_buffer_locked) chosen.send_buffer = options.send_buffer;
    if (options.receive_buffer_locked) chosen.receive_buffer = options.receive_buffer;
    return chosen;
}

void StreamSocket::push_options() {
    if (listener_) listener_->options = connection_options();
    if (!connection_) return;
    TcpScope scope;
    connection_->options = connection_options();
    connection_->options_changed();
}

void StreamSocket::option_changed(int option) {
    if (connection_ && (option == SO_SNDBUF || option == SO_SNDBUFFORCE)) {
        connection_->set_send_buffer(options.send_buffer);
    }
    if (connection_ && (option == SO_RCVBUF || option == SO_RCVBUFFORCE)) {
        connection_->set_receive_buffer(options.receive_buffer);
    }
    if (option == SO_ATTACH_FILTER) tcp_filters_exist = true;
    push_options();
}

Result<void> StreamSocket::set_reuseport_program(RefPtr<BpfProgram> program) {
    if (!options.is_on(SO_REUSEPORT) || (listener_ && !listener_->reuses_port)) {
        return Error(EINVAL);
    }
    RefPtr<BpfProgram>& old = listener_ ? listener_->reuseport_program : reuseport_program_;
    if (!program && !old) return Error(ENOENT);
    if (listener_) {
        tcp_stack().set_reuseport_program(*listener_, program);
    } else {
        old = std::move(program);
    }
    return {};
}

Result<void> StreamSocket::bind(const SocketAddress& address) {
    Endpoint local;
    bool is_unspecified = family() == AF_INET && address.length >= sizeof(sockaddr_in) &&
                          address.family() == AF_UNSPEC &&
                          address.as<sockaddr_in>().sin_addr.s_addr == 0;
    if (is_unspecified) {
        local = {IpAddress::any_v4(), __builtin_bswap16(address.as<sockaddr_in>().sin_port)};
    } else {
        local = TRY(endpoint_of(family(), address));
    }
    if (local.address.is_v4() && is_v6_only()) return Error(EINVAL);
    if (local.address.is_multicast()) return Error(EADDRNOTAVAIL);
    TRY(check_bindable(local, inet_.freebind || inet_.transparent));
    constexpr uint16_t kFirstFree = 1024;
    if (local.port != 0 && local.port < kFirstFree &&
        !current_credentials().has_capability(kCapNetBindService)) {
        return Error(EACCES);
    }
    if (state() != State::kClosed || local_.port != 0) return Error(EINVAL);
    port_is_chosen_ = local.port != 0;
    address_is_chosen_ = !local.address.is_any();
    if (local.port == 0 && inet_.bind_address_no_port && address_is_chosen_) {
        local_ = local;
        return {};
    }
    TRY(claim_stream_port(*this, local));
    local_ = local;
    if (local.scope) options.bound_device = static_cast<int>(local.scope);
    return {};
}

Result<void> StreamSocket::listen(unsigned backlog) {
    State now = state();
    if (now != State::kClosed && now != State::kListen) return Error(EINVAL);
    if (listener_) {
        listener_->backlog = backlog;
        return {};
    }
    if (local_.port == 0) {
        Endpoint local = local_;
        TRY(claim_stream_port(*this, local));
        local_ = local;
    } else {
        TRY(check_listen(*this));
    }
    leave_home();
    connection_ = nullptr;
    connect_is_pending_ = false;
    listener_ = TRY(tcp_stack().listen(local_, connection_options(), backlog));
    listener_->is_v6_only = is_v6_only();
    apply_fast_open();
    if (options.is_on(SO_REUSEPORT)) tcp_stack().share_port(*listener_, reuseport_program_);
    listener_->observer = this;
    return {};
}

Result<RefPtr<Socket>> StreamSocket::accept(bool nonblocking, uint32_t flags) {
    if (!listener_) return Error(EINVAL);
    RefPtr<tcp::Listener> listener = listener_;
    if (!listener->has_connection()) {
        SocketWait wait(nonblocking ? 0 : options.receive_timeout_ns);
        TRY(wait.until(changed_, [&] { return listener->has_connection() || !listener_; }));
        if (!listener_) return Error(EINVAL);
    }
    RefPtr<Socket> created = TRY(create_stream_socket(kind(), flags));
    auto& accepted = static_cast<StreamSocket&>(*created);
    RefPtr<tcp::Connection> connection = listener->accept();
    // Another thread may have been quicker while the socket was made.
    if (!connection) return Error(EAGAIN);
    accepted.options = options;
    accepted.inet_.inherit(inet_);
    accepted.tcp_ = tcp_;
    accepted.tcp_.receive_buffer = accepted.tcp_.send_buffer = 0;
    accepted.defer_accept_s_ = defer_accept_s_;
    accepted.local_ = connection->key.local;
    accepted.remote_ = connection->key.remote;
    accepted.connection_ = connection;
    connection->observer = &accepted;
    return created;
}

void StreamSocket::disconnect() {
    if (listener_) {
        TcpScope scope;
        RefPtr<tcp::Listener> last = std::move(listener_);
        tcp_stack().stop_listening(*last);
    }
    if (connection_) {
        leave_home();
        TcpScope scope;
        connection_->close(true);
        connection_ = nullptr;
    }
    connect_is_pending_ = receive_is_shut_ = false;
    remote_ = {};
    if (family() == AF_INET) remote_.address = IpAddress::any_v4();
    if (!address_is_chosen_) local_.address = remote_.address;
    if (!port_is_chosen_) {
        local_.port = 0;
        unlink();
    }
    changed_.wake_all();
}

Result<void> StreamSocket::shutdown(int how) {
    State now = state();
    if (now == State::kListen) {
        if (how == SHUT_WR) return {};
        // Linux: back to an unconnected socket.
        disconnect();
        return {};
    }
    // Linux shuts down an unconnected one, too, and says ENOTCONN.
    if (how != SHUT_WR) receive_is_shut_ = true;
    if (now == State::kClosed) return Error(ENOTCONN);
    if (now == State::kSynSent) {
        disconnect();
        return {};
    }
    if (how != SHUT_RD) {
        TcpScope scope;
        connection_->shutdown_send();
    }
    changed_.wake_all();
    return {};
}

Result<void> StreamSocket::local_address(SocketAddress& to) {
    write_endpoint(family(), local_, to);
    return {};
}

Result<void> StreamSocket::peer_address(SocketAddress& to) {
    State now = state();
    if (now == State::kListen || now == State::kClosed || now == State::kSynSent) {
        return Error(ENOTCONN);
    }
    write_endpoint(family(), remote_, to);
    return {};
}

int StreamSocket::take_error() {
    return connection_ ? std::exchange(connection_->error_code, 0) : 0;
}

void StreamSocket::on_tcp_event(uint32_t events) {
    if (events & tcp::kEventUrgentAnnounced) [[unlikely]]
        send_urgent_signal(*this);
    if (changed_.is_empty()) return;
    uint32_t poll = 0;
    if (events & (tcp::kEventReadable | tcp::kEventAccept)) poll |= POLLIN | POLLRDNORM;
    if (events & tcp::kEventReadable && connection_ && connection_->fin_received) {
        poll |= POLLRDHUP;
    }
    if (events & (tcp::kEventWritable | tcp::kEventConnected)) poll |= POLLOUT | POLLWRNORM;
    if (events & tcp::kEventUrgent) poll |= POLLPRI;
    if (events & tcp::kEventError) poll |= POLLERR;
    if (events & tcp::kEventHangUp) poll |= POLLHUP | POLLRDHUP;
    events& tcp::kEventAccept ? changed_.wake_one(poll) : changed_.wake_all(poll);
}

uint32_t StreamSocket::poll_events() {
    if (listener_) return listener_->has_connection() ? POLLIN | POLLRDNORM : 0;
    if (!connection_) {
        uint32_t unconnected = POLLOUT | POLLWRNORM | POLLHUP;
        return receive_is_shut_ ? unconnected | POLLIN | POLLRDNORM | POLLRDHUP : unconnected;
    }
    tcp::Connection& connection = *connection_;
    State now = connection.state;
    uint32_t events = connection.error_code || !errors_.is_empty() ? POLLERR : 0;
    bool receive_ended = receive_is_shut_ || connection.fin_received || now == State::kClosed;
    bool send_ended = connection.send_shut || now == State::kClosed;
    if ((receive_ended && send_ended) || now == State::kClosed) events |= POLLHUP;
    if (receive_ended) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (connection.waits_for_data()) return events | POLLOUT | POLLWRNORM;
    if (now == State::kSynSent || (now == State::kSynReceived && !connection.is_early())) {
        return events;
    }
    uint32_t low_water = static_cast<uint32_t>(std::max(options.receive_low_water, 1));
    // An urgent byte that read(2) passes over is no data.
    uint32_t readable = connection.readable_bytes();
    if (readable >= low_water) {
        bool only_urgent = readable == 1 && connection.has_urgent() &&
                           !connection.options.urgent_inline && connection.urgent_distance() == 0;
        if (!only_urgent) events |= POLLIN | POLLRDNORM;
    }
    if (send_ended || connection.is_writable()) {
        events |= POLLOUT | POLLWRNORM;
    } else {
        connection.want_space_event = true;
    }
    if (connection.urgent_state == tcp::Connection::UrgentState::kHere) events |= POLLPRI;
    return events;
}

Result<size_t> StreamSocket::bytes_to_receive() {
    if (listener_) return Error(EINVAL);
    if (!connection_) return size_t{0};
    size_t size = connection_->readable_bytes();
    // Up to the urgent byte (tcp_inq).
    if (size && connection_->has_urgent() && !connection_->options.urgent_inline) {
        size_t distance = connection_->urgent_distance();
        if (distance < size) size = distance == 0 ? size - 1 : distance;
    }
    return size;
}

// Until then, SIOCOUTQ and SIOCOUTQNSD count nothing.
bool StreamSocket::has_shaken_hands() const {
    const State now = state();
    return connection_ && now != State::kSynSent && now != State::kSynReceived;
}

Result<size_t> StreamSocket::bytes_to_send() {
    if (listener_) return Error(EINVAL);
    if (!has_shaken_hands()) return size_t{0};
    return size_t{connection_->unacknowledged_bytes()};
}

Result<long> StreamSocket::ioctl(uint32_t command, uint64_t argument) {
    if (command == SIOCATMARK) {
        int at_mark =
            connection_ && connection_->has_urgent() && connection_->urgent_distance() == 0;
        TRY(UserOut<int>(argument).write(at_mark));
        return 0;
    }
    constexpr uint32_t kSiocOutqNsd = 0x894b;
    if (command == kSiocOutqNsd) {
        if (listener_) return Error(EINVAL);
        TRY(UserOut<int>(argument).write(
            has_shaken_hands() ? static_cast<int>(connection_->unsent_bytes()) : 0));
        return 0;
    }
    return Socket::ioctl(command, argument);
}

}  // namespace coracle::net
