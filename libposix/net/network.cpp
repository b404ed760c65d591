#include "libposix/net/network.h"

#include <linux/rtnetlink.h>

#include "kernel-min/devices/virtio/bus.h"
#include "kernel-min/memory/frames.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/idle.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/net/address_text.h"
#include "libposix/net/counters.h"
#include "libposix/net/dhcp_client.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_input.h"
#include "libposix/net/ip/multicast.h"
#include "libposix/net/link/loopback.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/prefix.h"
#include "libposix/net/receive_steering.h"
#include "libposix/net/virtio_interface.h"

namespace coracle::net {

namespace {

constexpr size_t kMaxCards = 4;
VirtioInterface* cards[kMaxCards];
size_t card_count;
const BootConfig* configuration;
bool is_started;
uint8_t work_vector;

// Rounds of loopback in one go; what is left waits for the kernel to be left.
constexpr int kMaxRounds = 16;

void on_work(void*) {
    NetworkScope scope;
}

bool prepare_to_idle() {
    bool any = false;
    for (size_t i = 0; i < card_count; i++) any = cards[i]->prepare_to_idle() || any;
    return any;
}

void start_loopback() {
    if (!new (std::nothrow) LoopbackInterface || !loopback()) return;
    LoopbackInterface& lo = *loopback();
    (void)lo.add_address({.address = IpAddress::loopback_v4(), .prefix_length = 8, .broadcast = {}})
        .ok();
    (void)lo
        .add_address({.address = IpAddress::loopback_v6(), .prefix_length = 128, .broadcast = {}})
        .ok();
}

void add_static_addresses(Interface& interface) {
    for (const char* text : configuration->addresses) {
        auto parsed = parse_address_with_prefix(text);
        if (!parsed) continue;
        bool is_v4 = parsed->address.is_v4();
        bool added = interface
                         .add_address({.address = parsed->address,
                                       .prefix_length = parsed->prefix_length,
                                       .broadcast = is_v4 ? broadcast_of(parsed->address,
                                                                         parsed->prefix_length)
                                                          : IpAddress()})
                         .ok();
        if (added && !is_v4) join_solicited_node(interface, parsed->address);
    }
    if (!configuration->gateway) return;
    if (auto gateway = parse_address(configuration->gateway)) {
        (void)add_route({.destination = wildcard_of(*gateway),
                         .prefix_length = 0,
                         .gateway = *gateway,
                         .interface = &interface,
                         .source = wildcard_of(*gateway),
                         .protocol = RTPROT_BOOT})
            .ok();
    }
}

void start_card(virtio::Transport& transport) {
    std::unique_ptr<VirtioInterface> card(new (std::nothrow) VirtioInterface(card_count));
    if (!card || !card->has_memory() || !card->start(transport).ok()) return;
    Interface& interface = *(cards[card_count++] = card.release());
    (void)interface.join_group(IpAddress::v4(224, 0, 0, 1)).ok();
    bool is_first = card_count == 1;
    if (is_first) add_static_addresses(interface);
    start_ipv6(interface);
    if (!is_first || configuration->dhcp) start_dhcp(interface);
}

}  // namespace

bool configure_network(const BootConfig& config) {
    if (!allocate_buffer_pools() || !counters_of_cpus.allocate() || !NetworkScope::prepare() ||
        !start_receive_steering()) {
        return false;
    }
    configuration = &config;
    // Somebody may be waiting for an answer at a tap; behind the user network nobody can.
    if (config.dhcp) start_network();
    return true;
}

void start_network() {
    if (is_started) return;
    is_started = true;
    NetworkScope scope;
    work_vector = register_interrupt_handler(on_work, nullptr);
    constexpr size_t kShareOfMemory = 4;
    buffer_memory.limit = frame_statistics().total * kPageSize / kShareOfMemory;
    start_icmp();
    start_loopback();
    for (size_t i = 0; i < kMaxCards; i++) {
        virtio::Transport* transport = virtio::find_device(virtio::kDeviceNetwork, i);
        if (!transport) break;
        start_card(*transport);
    }
    if (card_count > 0) set_idle_work(prepare_to_idle);
}

bool network_is_started() { return is_started; }

void network_has_work() {
    NetworkScope::CpuPart& cpu = NetworkScope::cpus.current();
    cpu.has_work = true;
    if (cpu.depth == 0) raise_interrupt(work_vector);
}

void network_has_queued(VirtioQueuePair& pair) {
    NetworkScope::CpuPart& cpu = NetworkScope::cpus.current();
    pair.next_queued = cpu.queued;
    cpu.queued = &pair;
    network_has_work();
}

// Whether packets to this machine are left, as they are under the lock held locally: they are for
// flows of any home.
static bool poll_loopback() {
    LoopbackInterface* lo = loopback();
    if (!lo || !lo->has_packets()) return false;
    if (holds_lock_locally()) return true;
    lo->poll();
    return false;
}

// Whether any are left, for the same reason: the devices' control queues are everybody's.
static bool update_receive_filters() {
    bool any_left = false;
    for (size_t i = 0; i < card_count; i++) {
        if (!cards[i]->receive_filter_is_stale()) [[likely]]
            continue;
        if (holds_lock_locally()) {
            any_left = true;
        } else {
            cards[i]->set_receive_filter();
        }
    }
    return any_left;
}

void NetworkScope::run_work(CpuPart& cpu) {
    bool any_left = false;
    for (int round = 0; cpu.has_work; round++) {
        cpu.has_work = false;
        any_left = poll_loopback();
        while (VirtioQueuePair* pair = cpu.queued) {
            cpu.queued = pair->next_queued;
            pair->flush();
        }
        any_left = update_receive_filters() || any_left;
        if (round == kMaxRounds && cpu.has_work) {
            any_left = true;
            break;
        }
    }
    if (!any_left) return;
    cpu.has_work = true;
    raise_interrupt(work_vector);
}

bool network_has_unsent_packets() {
    for (size_t i = 0; i < card_count; i++) {
        if (cards[i]->has_unsent_frames()) return true;
    }
    bool any_waits = false;
    for_each_neighbor([&](const Neighbor& neighbor) { any_waits |= !neighbor.waiting.is_empty(); });
    return any_waits;
}

void poll_network() {
    NetworkScope scope;
    for (size_t i = 0; i < card_count; i++) cards[i]->poll();
}

}  // namespace coracle::net
