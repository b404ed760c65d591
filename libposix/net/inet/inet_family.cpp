#include "libposix/net/inet/inet_family.h"

#include <netinet/in.h>

#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/interface_ioctl.h"
#include "libposix/net/netlink/netlink_socket.h"
#include "libposix/net/network.h"
#include "libposix/net/packet/packet_socket.h"
#include "libposix/net/raw/raw_socket.h"
#include "libposix/net/udp/udp_socket.h"

namespace coracle::net {

namespace {

struct Entry {
    int type, protocol;
    CreateInetSocket create;
};
constexpr size_t kMaxEntries = 8;
Entry entries[kMaxEntries];
size_t entry_count;

Result<RefPtr<Socket>> create(Socket::Kind kind, uint32_t flags) {
    if (kind.protocol < 0 || kind.protocol >= IPPROTO_MAX) return Error(EINVAL);
    bool type_is_known = false;
    for (const Entry& entry : std::span(entries, entry_count)) {
        if (entry.type != kind.type) continue;
        type_is_known = true;
        if (entry.protocol != 0 && kind.protocol != 0 && kind.protocol != entry.protocol) continue;
        // IPPROTO_IP is no protocol that a raw socket could receive.
        if (entry.protocol == 0 && kind.protocol == 0) return Error(EPROTONOSUPPORT);
        if (kind.protocol == 0) kind.protocol = entry.protocol;
        start_network();
        return entry.create(kind, flags);
    }
    return Error(type_is_known ? EPROTONOSUPPORT : ESOCKTNOSUPPORT);
}

}  // namespace

void register_inet_socket(int type, int protocol, CreateInetSocket create) {
    ASSERT(entry_count < kMaxEntries);
    entries[entry_count++] = {type, protocol, create};
}

void register_inet_families() {
    register_tcp();
    register_udp();
    register_raw_sockets();
    register_netlink();
    register_packet_sockets();
    set_interface_ioctl(interface_ioctl);
    register_socket_family({.family = AF_INET, .create = create});
    register_socket_family({.family = AF_INET6, .create = create});
}

}  // namespace coracle::net
