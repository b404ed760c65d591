#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/cpu.h"
#include "kernel-min/sched/idle.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/net/network.h"

namespace coracle::net {

namespace {

constexpr uint64_t kPatienceNs = 3'000'000'000;  // without any progress
constexpr uint64_t kLimitNs = 60'000'000'000;
constexpr uint64_t kFirstStepNs = 50'000, kLongestStepNs = 1'000'000;

}  // namespace

// No thread runs: the network is polled, and TCP's timers, which were every CPU's, are run from
// here.
void drain_network() {
    if (!network_is_started()) return;
    tcp::Stack& tcp = tcp_stack();
    {
        TcpScope scope;
        tcp.close_all();
        tcp.take_over_timers();
    }
    const uint64_t start = monotonic_ns();
    uint64_t progress = start, step = kFirstStepNs;
    uint64_t left = tcp.undelivered();
    Timer tick{[](void*) {}, nullptr};
    while (left > 0 || network_has_unsent_packets()) {
        const uint64_t now = monotonic_ns();
        if (now - progress > kPatienceNs || now - start > kLimitNs) return;
        tick.start(now + step);
        step = std::min(2 * step, kLongestStepNs);
        idle();
        handle_pending_interrupts();
        poll_network();
        TcpScope scope;
        tcp.run_timers();
        const uint64_t now_left = tcp.undelivered();
        if (now_left != left) {
            progress = monotonic_ns();
            step = kFirstStepNs;
        }
        left = now_left;
    }
}

}  // namespace coracle::net
