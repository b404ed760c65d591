#include "libposix/net/receive_steering.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/deferred_work.h"
#include "libposix/net/dhcp_client.h"
#include "libposix/net/inet/tcp_filter.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/raw/raw_socket.h"
#include "libposix/net/udp/udp_table.h"

namespace coracle::net {
namespace {

// What waits for a CPU. Of one flow, what is in `returned` came before what is in `inbox`, and what a
// CPU has handed over before what it holds.
struct Waiting {
    BufferQueue returned;  // was in the inbox, but is to be processed under the lock alone
    BufferQueue held;      // from the CPU's own queue of the device, the same
    // Handed over by other CPUs, the latest first, and about how many.
    alignas(kCacheLineSize) std::atomic<Buffer*> inbox{nullptr};
    std::atomic<uint32_t> inbox_count{0};
    SteeringCounters counters = {};
};
PerCpu<Waiting> waiting;
uint8_t local_vector, alone_vector;

void process(BufferPtr frame) {
    auto& interface = *static_cast<Interface*>(frame->info.interface);
    ethernet_input(std::move(frame), interface);
}

void process_queue(BufferQueue& queue) {
    while (!queue.is_empty()) {
        waiting.current().counters.alone++;
        process(queue.pop_front());
    }
}

// What was handed over to a CPU, the oldest first.
void take_inbox(Waiting& of, BufferQueue& to) {
    Buffer* newest = of.inbox.exchange(nullptr);
    uint32_t count = 0;
    for (; newest; count++) {
        Buffer* next = BufferQueue::after(newest);
        to.push_front(BufferPtr(newest));
        newest = next;
    }
    of.inbox_count.fetch_sub(count, std::memory_order_relaxed);
}

bool is_anything_waiting() {
    bool any = false;
    waiting.for_each([&](const Waiting& of) {
        any |= of.inbox.load() || !of.returned.is_empty() || !of.held.is_empty();
    });
    return any;
}

// Under the lock held alone.
void process_waiting() {
    waiting.for_each([](Waiting& of) {
        process_queue(of.returned);
        BufferQueue inbox;
        take_inbox(of, inbox);
        process_queue(inbox);
    });
    waiting.for_each([](Waiting& of) { process_queue(of.held); });
}

void on_alone(void*) {
    NetworkScope scope;
    release_wrapped_buffers();
    SendMemory::wake_senders();
    send_deferred_packets();
    process_waiting();
}

// The flow of a packet to this station, of which the transport header's first bytes lie in the first
// buffer, without fragments or options of IP.
struct Transport {
    uint8_t protocol;
    FlowKey flow;
    const uint8_t* header;
};
bool find_transport(const Buffer& frame, const Interface& interface, Transport& to) {
    constexpr size_t kLeastHeader = 8;
    const uint8_t* ethernet = frame.data();
    const uint8_t* ip = ethernet + kEthernetHeaderSize;
    size_t size = frame.length();
    if (size < kEthernetHeaderSize + ipv4::kHeaderSize + kLeastHeader ||
        memcmp(ethernet, interface.mac.bytes, sizeof(interface.mac.bytes)) != 0) {
        return false;
    }
    size -= kEthernetHeaderSize;
    switch (read_be16(ethernet + 12)) {
        case ETHERTYPE_IP:
            if (ip[0] != 0x45 || read_be16(ip + ipv4::kFragment) &
                                     (ipv4::kMoreFragments | ipv4::kOffsetMask)) {
                return false;
            }
            to.protocol = ip[ipv4::kProtocol];
            to.flow.remote.address = IpAddress::from_v4_bytes(ip + ipv4::kSource);
            to.flow.local.address = IpAddress::from_v4_bytes(ip + ipv4::kDestination);
            to.header = ip + ipv4::kHeaderSize;
            break;
        case ETHERTYPE_IPV6:
            if (size < ipv6::kHeaderSize + kLeastHeader) return false;
            to.protocol = ip[ipv6::kNextHeader];
            to.flow.remote.address = IpAddress::from_v6_bytes(ip + ipv6::kSource);
            to.flow.local.address = IpAddress::from_v6_bytes(ip + ipv6::kDestination);
            to.header = ip + ipv6::kHeaderSize;
            break;
        default:
            return false;
    }
    to.flow.remote.port = read_be16(to.header);
    to.flow.local.port = read_be16(to.header + 2);
    return !to.flow.local.address.is_multicast() && !interface.is_broadcast(to.flow.local.address);
}

// What header prediction knows: an established connection's segment with nothing but ACK and PSH.
uint32_t home_of_segment(const Buffer& frame, const Interface& interface, Transport& transport) {
    constexpr size_t kFlags = 13;
    if (frame.data() + frame.length() < transport.header + tcp::kHeaderSize ||
        (transport.header[kFlags] & ~tcp::kPsh) != tcp::kAck) {
        return kNoHome;
    }
    transport.flow.local.scope = transport.flow.remote.scope = interface.index();
    return tcp_stack().home_of(transport.flow);
}

uint32_t home_of_datagram(const Interface& interface, const Transport& transport) {
    if (transport.flow.local.port == kDhcpClientPort) return kNoHome;
    const UdpSocket* socket =
        find_udp_socket(transport.flow.remote, transport.flow.local, interface.index(), nullptr);
    const bool has_program = socket && (socket->options.filter || socket->reuseport_program);
    return socket && !has_program ? socket->home : kNoHome;
}

// The CPU that may process the frame under the lock held locally; kNoHome: none.
uint32_t home_of(const Buffer& frame, const Interface& interface) {
    if (frame_tap || tcp_filters_exist || !raw_sockets().empty()) return kNoHome;
    Transport transport;
    if (!find_transport(frame, interface, transport)) return kNoHome;
    switch (transport.protocol) {
        case IPPROTO_TCP:
            return home_of_segment(frame, interface, transport);
        case IPPROTO_UDP:
            return home_of_datagram(interface, transport);
        default:
            return kNoHome;
    }
}

void hand_over(uint32_t cpu, BufferPtr frame, Interface& interface) {
    constexpr uint32_t kMaxInbox = 1000;  // Linux's netdev_max_backlog
    Waiting& to = waiting.of(cpu);
    if (to.inbox_count.fetch_add(1, std::memory_order_relaxed) >= kMaxInbox) {
        to.inbox_count.fetch_sub(1, std::memory_order_relaxed);
        interface.statistics().rx_dropped++;
        return;
    }
    Buffer* added = frame.release();
    Buffer* first = to.inbox.load();
    do {
        BufferQueue::set_after(added, first);
    } while (!to.inbox.compare_exchange_weak(first, added));
    if (!first) raise_interrupt_on(*cpus[cpu], local_vector);
}

void on_handed_over(void*) {
    NetworkScope scope;
    if (!holds_lock_locally()) return process_waiting();
    Waiting& own = waiting.current();
    BufferQueue inbox;
    take_inbox(own, inbox);
    while (!inbox.is_empty()) {
        BufferPtr frame = inbox.pop_front();
        const auto& interface = *static_cast<const Interface*>(frame->info.interface);
        if (own.returned.is_empty() && home_of(*frame, interface) == cpu_index()) {
            own.counters.at_home++;
            process(std::move(frame));
        } else {
            own.returned.push_back(std::move(frame));
        }
    }
    if (!own.returned.is_empty()) do_deferred_work();
}

}  // namespace

bool start_receive_steering() {
    if (!waiting.allocate()) return false;
    local_vector = register_interrupt_handler(on_handed_over, nullptr, LockNeeded::kLocally);
    alone_vector = register_interrupt_handler(on_alone, nullptr);
    return true;
}

void process_handed_over() {
    if (!is_anything_waiting()) return;
    NetworkScope scope;
    process_waiting();
}

void do_deferred_work() {
    raise_interrupt(alone_vector);
}

SteeringCounters steering_counters() {
    SteeringCounters total = {};
    waiting.for_each([&](const Waiting& of) { add_counters(total, of.counters); });
    return total;
}

void steer_received(BufferPtr frame, Interface& interface) {
    if (!holds_lock_locally()) {
        if (cpu_count > 1) {
            if (is_anything_waiting()) process_waiting();
            waiting.current().counters.alone++;
        }
        return ethernet_input(std::move(frame), interface);
    }
    frame->info.interface = &interface;
    Waiting& own = waiting.current();
    const uint32_t home = own.held.is_empty() ? home_of(*frame, interface) : kNoHome;
    if (home == cpu_index()) {
        own.counters.at_home++;
        return process(std::move(frame));
    }
    if (home != kNoHome) {
        own.counters.handed_over++;
        return hand_over(home, std::move(frame), interface);
    }
    own.held.push_back(std::move(frame));
    do_deferred_work();
}

}  // namespace coracle::net
