#include "kernel-min/sched/idle.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/devices/clock_source.h"

namespace coracle {
namespace {

uint64_t idle_ticks;

}  // namespace

void idle() {
    const uint64_t start = read_tsc();
    core::halt();
    idle_ticks += read_tsc() - start;
}

uint64_t idle_tsc_ticks() { return idle_ticks; }

}  // namespace coracle
