#include "libposix/time/clock.h"

#include "libposix/time/clock_timer.h"

namespace coracle {
namespace {

uint64_t realtime_offset_ns;
uint64_t step_count;
WaitQueue step_waiters;
abi::ClockPage* clock_page;

void write_offset() {
    if (!clock_page) return;
    auto* sequence = reinterpret_cast<volatile uint32_t*>(&clock_page->sequence);
    *sequence = *sequence + 1;
    asm volatile("" ::: "memory");
    clock_page->realtime_offset_ns = realtime_offset_ns;
    asm volatile("" ::: "memory");
    *sequence = *sequence + 1;
}

}  // namespace

uint64_t realtime_ns() { return monotonic_ns() + realtime_offset_ns; }

void set_realtime(uint64_t ns) {
    realtime_offset_ns = ns - monotonic_ns();
    step_count++;
    write_offset();
    step_waiters.wake_all();
    ClockTimer::rearm_realtime();
}

WaitQueue& wall_clock_changes() { return step_waiters; }
uint64_t wall_clock_steps() { return step_count; }

void fill_clock_page(abi::ClockPage& page) {
    clock_page = &page;
    publish_monotonic_clock(&page);
    write_offset();
}

}  // namespace coracle
