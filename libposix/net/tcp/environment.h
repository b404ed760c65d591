// What TCP needs of the machine below and around it: the kernel's IP and timers, or a test's wire
// and clock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libposix/net/address.h"
#include "libposix/net/buffer.h"

namespace coracle::net::tcp {

// Scratch memory of the Environment in every connection: what it knows of the way to the peer.
struct PathCache {
    alignas(8) std::byte storage[112] = {};
};

// What the sockets' options ask of IP.
struct IpChoices {
    uint8_t traffic_class = 0;  // TOS; the ECN bits are TCP's
    uint8_t hop_limit = 0;      // 0: the default
    uint32_t interface_index = 0;
    bool dont_discover_mtu = false;
};

struct PathProperties {
    uint32_t mtu = 1500;           // of whole IP packets
    uint32_t largest_segment = 0;  // payload of a segment that the layer below cuts; 0: none
    bool checksum_offload = false;
    bool is_loopback = false;
};

class Environment {
  public:
    virtual PathProperties path(const FlowKey& flow, const IpChoices& choices,
                                PathCache& cache) = 0;
    // Sends a packet from its TCP header on, with room for IP's before it. It must not call back
    // into the stack. `traffic_class` includes the ECN bits. `cache` may be null.
    virtual void output(BufferPtr packet, const FlowKey& flow, const IpChoices& choices,
                        PathCache* cache) = 0;
    // Stack::run_timers() is to be called on this CPU at this time, or somewhat later; replaces
    // this CPU's time before.
    virtual void arm_timer(uint64_t deadline_ns) = 0;
    virtual uint64_t random() = 0;

  protected:
    ~Environment() = default;
};

}  // namespace coracle::net::tcp
