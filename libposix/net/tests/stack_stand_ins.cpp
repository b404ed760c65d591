// A clock of the tests' own, timers on it, and the network's work without interrupts.
#include <random>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/random.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/link/loopback.h"
#include "libposix/net/network.h"
#include "libposix/net/tests/stack_test.h"

namespace coracle {

uint64_t monotonic_ns() {
    return net::test_clock_ns;
}
void arm_clock_timer(uint64_t) {}

// It outlives the timers, which are static.
TimerQueue& current_timer_queue() {
    static TimerQueue& queue = *new TimerQueue;
    return queue;
}

uint64_t random_u64() {
    static std::mt19937_64 generator(1);
    return generator();
}
void fill_random(void* to, size_t size) {
    for (size_t i = 0; i < size; i++) static_cast<uint8_t*>(to)[i] = random_u64();
}

namespace net {

uint64_t test_clock_ns = 1'000'000'000'000;

const bool has_memory = counters_of_cpus.allocate() && NetworkScope::prepare();

void network_has_work() {
    NetworkScope::cpus.current().has_work = true;
}
void NetworkScope::run_work(CpuPart& cpu) {
    while (cpu.has_work) {
        cpu.has_work = false;
        if (loopback()) loopback()->poll();
    }
}

void advance_clock(uint64_t nanoseconds) {
    constexpr uint64_t kStepNs = 100'000'000;
    uint64_t end = test_clock_ns + nanoseconds;
    while (test_clock_ns < end) {
        test_clock_ns = std::min(end, test_clock_ns + kStepNs);
        current_timer_queue().run_expired();
        NetworkScope scope;
    }
}

}  // namespace net
}  // namespace coracle
