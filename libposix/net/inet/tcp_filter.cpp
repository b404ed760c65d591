#include "libposix/net/inet/tcp_filter.h"

#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/checksum.h"
#include "libposix/net/filter/ip_filter.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/ip/ip_input.h"

namespace coracle::net {

bool passes_tcp_filter(Buffer& packet, const IpInput& how) {
    const uint8_t* header = packet.data();
    const uint32_t index = how.interface->index();
    const FlowKey flow{{how.destination, read_be16(header + 2), index},
                       {how.source, read_be16(header), index}};
    const tcp::ConnectionOptions* options = tcp_stack().find_options(flow);
    if (!options) return true;
    if (how.hop_limit < (how.source.is_v4() ? options->least_hops : options->least_hops_v6)) {
        tcp_stack().counters().TCPMinTTLDrop++;
        return false;
    }
    if (!options->filter) return true;
    const size_t size = packet.chain_length();
    const size_t kept = options->filter->run(ip_filter_input(packet, how, 0));
    if (kept == 0) return false;
    if (kept >= size) return true;
    // The sum is over what goes, too.
    if (!transport_checksum_holds(packet, how.source, how.destination, IPPROTO_TCP)) return true;
    packet.info.checksum = ChecksumState::kVerified;
    const size_t header_size = packet.data()[12] / 16 * 4u;
    return trim_packet(packet, std::max(kept, std::min(header_size, size)));
}

}  // namespace coracle::net
