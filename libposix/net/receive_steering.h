// Which CPU processes a frame that came in. Segments of an established connection and datagrams
// whose socket has a home are processed there, under the kernel lock held locally; all other
// frames, and those that somebody listens in on, under the lock held alone. Frames of a flow stay
// in order.
#pragma once

#include "libposix/net/interface.h"

namespace coracle::net {

// Before the first frame; when all CPUs run. False: out of memory.
bool start_receive_steering();

// Processes a frame, from its Ethernet header on, or leaves it to whom it is for.
void steer_received(BufferPtr frame, Interface& interface);

// Before a connection gets another home, under the lock held alone: processes what was handed over
// to the one before.
void process_handed_over();

// What became of frames; with one CPU nothing is counted.
struct SteeringCounters {
    uint64_t at_home, handed_over, alone;
};
SteeringCounters steering_counters();

}  // namespace coracle::net
