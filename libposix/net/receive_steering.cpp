#include "libposix/net/receive_steering.h"

#include <net/ethernet.h>
#include <netinet/in.h>

#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/deferred_work.h"
#include "libposix/net/inet/tcp_filter.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/ip/ip_header.h"
#include "libposix/net/link/ethernet.h"
#include "libposix/net/link/neighbor.h"
#include "libposix/net/raw/raw_socket.h"

namespace coracle::net {
namespace {

// What waits for a CPU. Of one flow, what is in `returned` came before what is in `inbox`, and what a
// CPU has handed over before what it holds.
struct Waiting {
    BufferQueue returned;  // was in the inbox, but is to be processed under the lock alone
    BufferQueue held;      // from the CPU's own queue of the device, the same
    // Handed over by other CPUs, the latest first.
    alignas(kCacheLineSize) std::atomic<Buffer*> inbox{nullptr};
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
    while (newest) {
        Buffer* next = BufferQueue::after(newest);
        to.push_front(BufferPtr(newest));
        newest = next;
    }
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
    send_deferred_packets();
    process_waiting();
}

// The CPU that may process the frame under the lock held locally; kNoCpu: none. Such a frame is what
// header prediction knows: a segment with nothing but ACK and PSH, without fragments or options of
// IP, of an established connection.
uint32_t home_of(const Buffer& frame, const Interface& interface) {
    constexpr size_t kTcpHeader = 20, kPorts = 4, kFlags = 13;
    constexpr uint8_t kAck = 0x10, kPsh = 0x08;
    const uint8_t* ethernet = frame.data();
    const uint8_t* ip = ethernet + kEthernetHeaderSize;
    if (frame_tap || tcp_filters_exist || !raw_sockets().empty()) return tcp::kNoCpu;
    if (frame.length() < kEthernetHeaderSize + ipv4::kHeaderSize + kTcpHeader) return tcp::kNoCpu;
    if (memcmp(ethernet, interface.mac.bytes, sizeof(interface.mac.bytes)) != 0) return tcp::kNoCpu;
    FlowKey flow;
    const uint8_t* tcp;
    switch (read_be16(ethernet + 12)) {
        case ETHERTYPE_IP:
            if (ip[0] != 0x45 || ip[ipv4::kProtocol] != IPPROTO_TCP ||
                read_be16(ip + ipv4::kFragment) & (ipv4::kMoreFragments | ipv4::kOffsetMask)) {
                return tcp::kNoCpu;
            }
            flow.remote.address = IpAddress::from_v4_bytes(ip + ipv4::kSource);
            flow.local.address = IpAddress::from_v4_bytes(ip + ipv4::kDestination);
            tcp = ip + ipv4::kHeaderSize;
            break;
        case ETHERTYPE_IPV6:
            if (frame.length() < kEthernetHeaderSize + ipv6::kHeaderSize + kTcpHeader ||
                ip[ipv6::kNextHeader] != IPPROTO_TCP) {
                return tcp::kNoCpu;
            }
            flow.remote.address = IpAddress::from_v6_bytes(ip + ipv6::kSource);
            flow.local.address = IpAddress::from_v6_bytes(ip + ipv6::kDestination);
            tcp = ip + ipv6::kHeaderSize;
            break;
        default:
            return tcp::kNoCpu;
    }
    if ((tcp[kFlags] & ~kPsh) != kAck) return tcp::kNoCpu;
    flow.remote.port = read_be16(tcp);
    flow.local.port = read_be16(tcp + kPorts / 2);
    flow.local.scope = flow.remote.scope = interface.index();
    return tcp_stack().home_of(flow);
}

void hand_over(uint32_t cpu, BufferPtr frame) {
    Waiting& to = waiting.of(cpu);
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
    local_vector =
        register_interrupt_handler(on_handed_over, nullptr, LockNeeded::kLocally);
    alone_vector = register_interrupt_handler(on_alone, nullptr);
    return true;
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
    const uint32_t home = own.held.is_empty() ? home_of(*frame, interface) : tcp::kNoCpu;
    if (home == cpu_index()) {
        own.counters.at_home++;
        return process(std::move(frame));
    }
    if (home != tcp::kNoCpu) {
        own.counters.handed_over++;
        return hand_over(home, std::move(frame));
    }
    own.held.push_back(std::move(frame));
    do_deferred_work();
}

}  // namespace coracle::net
