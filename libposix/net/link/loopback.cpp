#include "libposix/net/link/loopback.h"

#include <linux/if_arp.h>

#include "libposix/net/ip/ip_input.h"
#include "libposix/net/network.h"

namespace coracle::net {

namespace {
LoopbackInterface* the_loopback;
// Two programs that answer each other must not keep the others from the CPU.
constexpr int kPollBudget = 256;
}  // namespace

LoopbackInterface::LoopbackInterface() : Interface("lo", ARPHRD_LOOPBACK, kLoopbackMtu) {
    flags = IFF_UP | IFF_RUNNING | IFF_LOOPBACK | IFF_LOWER_UP;
    offloads = {.checksum = true, .tso_v4 = true, .tso_v6 = true, .uso = true};
    the_loopback = this;
}

LoopbackInterface* loopback() {
    return the_loopback;
}

void LoopbackInterface::output(BufferPtr packet, const IpAddress&) {
    packet->info.interface = this;
    size_t size = packet->chain_length();
    statistics.tx_packets++;
    statistics.tx_bytes += size;
    statistics.rx_packets++;
    statistics.rx_bytes += size;
    queue_.push_back(std::move(packet));
    network_has_work();
}

void LoopbackInterface::transmit(BufferPtr frame) {
    // From a packet socket, with an Ethernet header of zeros as on Linux.
    constexpr size_t kLinkHeader = 14;
    if (frame->length() <= kLinkHeader) return;
    frame->pull(kLinkHeader);
    output(std::move(frame), {});
}

void LoopbackInterface::poll() {
    for (int budget = kPollBudget; budget > 0; budget--) {
        BufferPtr packet = queue_.pop_front();
        if (!packet) return;
        auto& interface = *static_cast<Interface*>(packet->info.interface);
        uint8_t version = packet->length() ? packet->data()[0] >> 4 : 0;
        if (version == 4) {
            ipv4_input(std::move(packet), interface);
        } else if (version == 6) {
            ipv6_input(std::move(packet), interface);
        }
    }
    network_has_work();
}

void loop_back(BufferPtr packet, Interface& interface) {
    if (!the_loopback) return;
    packet->info.interface = &interface;
    the_loopback->queue_.push_back(std::move(packet));
    network_has_work();
}

}  // namespace coracle::net
