// What the network must not do under the kernel lock held locally waits where it came up: wrapped
// buffers to be released (buffer.h), senders to be woken (send_memory.h), packets to neighbours
// that must be asked (link/neighbor.h), frames that are not for the CPU's own connections
// (receive_steering.h).
#pragma once

namespace coracle::net {

// Has all that done soon, under the lock held alone: before this CPU leaves the kernel or idles.
void do_deferred_work();

}  // namespace coracle::net
