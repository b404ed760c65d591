// connect(2) of TCP sockets, and its three ways to end: at once, after a sleep, or told later.
#include <netinet/in.h>

#include "libposix/net/inet/stream_ports.h"
#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_host.h"

namespace coracle::net {

Result<Endpoint> StreamSocket::destination_of(const SocketAddress& address) const {
    Endpoint to = TRY(endpoint_of(family(), address));
    // The unspecified address is this machine.
    if (to.address.is_any()) {
        to.address = to.address.is_v4() ? IpAddress::loopback_v4() : IpAddress::loopback_v6();
    }
    if (to.address.is_v4() && is_v6_only()) return Error(ENETUNREACH);
    if (to.address.is_multicast()) return Error(ENETUNREACH);
    return to;
}

Result<void> StreamSocket::begin_connect(const Endpoint& to, tcp::FastOpen mode) {
    uint32_t interface_index = to.scope ? to.scope : static_cast<uint32_t>(options.bound_device);
    IpAddress source = local_.address;
    if (source.is_any() || source.is_v4() != to.address.is_v4()) {
        if (!source.is_any()) return Error(to.address.is_v4() ? EINVAL : ENETUNREACH);
        source = wildcard_like(to.address);
    }
    Route route = TRY(find_route(to.address, source, interface_index));
    TRY(check_gateway(*this, 0, route, to.address));
    if (route.is_broadcast) return Error(ENETUNREACH);
    FlowKey flow{{source.is_any() ? route.source : source, local_.port, to.scope}, to};
    TcpScope scope;
    if (flow.local.port == 0) {
        TRY(choose_connection_port(flow));
    } else if (!tcp_stack().is_flow_free(flow)) {
        return Error(EADDRNOTAVAIL);
    }
    remote_ = to;
    leave_home();
    connection_ = TRY(tcp_stack().connect(flow, connection_options(), this, mode));
    local_ = flow.local;
    connect_is_pending_ = true;
    receive_is_shut_ = false;
    return {};
}

// Precondition: connect_is_pending_. EINPROGRESS: not yet.
Result<void> StreamSocket::wait_for_connect(SocketWait& wait) {
    auto is_under_way = [&] {
        return connection_ &&
               (connection_->state == State::kSynSent || connection_->state == State::kSynReceived);
    };
    if (is_under_way()) {
        if (!wait.may_sleep()) return Error(EINPROGRESS);
        Result<void> waited = wait.until(changed_, [&] { return !is_under_way(); });
        if (!waited.ok()) {
            return Error(waited.error_code() == EAGAIN ? EINPROGRESS : waited.error_code());
        }
    }
    if (!connection_) return Error(ECONNABORTED);
    connect_is_pending_ = false;
    if (connection_->state != State::kClosed) return {};
    // It failed: the socket may try again.
    int error = std::exchange(connection_->error_code, 0);
    disconnect();
    return Error(error ? error : ECONNABORTED);
}

Result<void> StreamSocket::connect(const SocketAddress& address, bool nonblocking) {
    if (address.length < sizeof(sa_family_t)) return Error(EINVAL);
    if (address.family() == AF_UNSPEC) {
        disconnect();
        return {};
    }
    SocketWait wait(nonblocking ? 0 : options.send_timeout_ns);
    if (connect_is_pending_) {
        if (connection_ && connection_->waits_for_data()) return Error(EISCONN);
        bool is_open = state() == State::kSynSent || state() == State::kSynReceived;
        if (is_open && nonblocking) return Error(EALREADY);
        return wait_for_connect(wait);
    }
    if (listener_ || state() != State::kClosed) return Error(EISCONN);
    if (connection_) disconnect();
    Endpoint to = TRY(destination_of(address));
    TRY(begin_connect(to, fast_open_connect_ ? fast_open_mode() : tcp::FastOpen::kNo));
    if (connection_->waits_for_data()) return {};
    // Even if the answer is here already, as over loopback (Linux looks for it later).
    if (nonblocking) return Error(EINPROGRESS);
    return wait_for_connect(wait);
}

}  // namespace coracle::net
