#include "libposix/net/ip/ip_output.h"

#include <algorithm>

#include "libposix/net/counters.h"
#include "libposix/net/link/loopback.h"
#include "libposix/net/prefix.h"

namespace coracle::net {

Result<void> ip_output(BufferPtr packet, const IpOutput& how) {
    bool is_v4 = how.destination.is_v4();
    Route found;
    const Route* route = how.route;
    if (!route) {
        auto looked_up = find_route(how.destination, how.source, how.interface_index);
        if (!looked_up) {
            ip_counters(is_v4).out_no_routes++;
            return looked_up.error();
        }
        found = *looked_up;
        route = &found;
    }
    if (!route->interface->is_up()) return Error(ENETDOWN);
    IpOutput chosen = how;
    if (chosen.source.is_any() && !how.source_is_chosen) chosen.source = route->source;
    return is_v4 ? ipv4_output(std::move(packet), chosen, *route)
                 : ipv6_output(std::move(packet), chosen, *route);
}

void send_packet(BufferPtr packet, const IpOutput& how, const Route& route) {
    IpCounters& counted = ip_counters(how.destination.is_v4());
    counted.out_requests++;
    Interface& interface = *route.interface;
    packet->info.interface = &interface;
    packet->info.network_offset = 0;
    bool is_group = how.destination.is_multicast();
    if ((is_group || route.is_broadcast) && !interface.is_loopback()) {
        (is_group ? counted.out_multicast : counted.out_broadcast)++;
        bool loops = is_group ? how.loops_multicast && interface.is_member(how.destination) : true;
        if (loops) {
            if (BufferPtr copy = share_chain(*packet, 0, packet->chain_length())) {
                copy->info = packet->info;
                loop_back(std::move(copy), interface);
            }
        }
        // RFC 1122, 3.3.7; RFC 4291, 2.7: hops of 0 and node-local groups stay here.
        if (is_group && (how.stays_on_node ||
                         (how.destination.is_v6() && (how.destination.v6_bytes()[1] & 15) <= 1))) {
            return;
        }
    }
    interface.output(std::move(packet), route.next_hop);
}

bool ensure_headroom(BufferPtr& packet, size_t size) {
    // Headroom is its header's alone, even where the bytes behind it are shared.
    if (packet->headroom() >= size) return true;
    BufferPtr front = Buffer::allocate(std::max(kSmallBufferCapacity, kPacketHeadroom + size),
                                       kPacketHeadroom + size);
    if (!front) return false;
    front->info = packet->info;
    front->set_next(std::move(packet));
    packet = std::move(front);
    return true;
}

BufferPtr share_chain(Buffer& packet, size_t offset, size_t size) {
    BufferPtr first;
    Buffer* last = nullptr;
    for (Buffer* buffer = &packet; buffer && size > 0; buffer = buffer->next()) {
        if (offset >= buffer->length()) {
            offset -= buffer->length();
            continue;
        }
        size_t piece = std::min<size_t>(size, buffer->length() - offset);
        BufferPtr shared = buffer->share(offset, piece);
        if (!shared) return nullptr;
        Buffer* added = shared.get();
        if (last) {
            last->set_next(std::move(shared));
        } else {
            first = std::move(shared);
        }
        last = added;
        offset = 0;
        size -= piece;
    }
    return first;
}

}  // namespace coracle::net
