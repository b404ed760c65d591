// The machine's TCP: the core (libposix/net/tcp) on the kernel's IP, clock and timers.
#pragma once

#include "kernel-min/devices/clock_source.h"
#include "libposix/net/network.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net {

// Registers the protocol with IP and the sockets with AF_INET and AF_INET6. Called once, at boot,
// when all CPUs run.
void register_tcp();

tcp::Stack& tcp_stack();
// Fills tcp_proc_files (libposix/net/proc_net.h).
void register_tcp_proc_files();

// Around every call into the stack: sets its clock, and has what it sent seen to at the end. Not
// held across a sleep.
class TcpScope {
  public:
    TcpScope() { tcp_stack().set_now(monotonic_ns()); }

  private:
    NetworkScope scope_;
};

}  // namespace coracle::net
