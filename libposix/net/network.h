// The network comes up, and runs.
//
// It comes up at the first socket, so that a program without the network does not pay for it.
// Frames that come in are processed outside of any other kernel code: when the kernel is left after
// an interrupt, when the CPU would idle, and at the end of a NetworkScope.
#pragma once

#include "kernel-min/devices/boot_config.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/send_memory.h"

namespace coracle::net {

class VirtioQueuePair;

// Remembers how; starts at once what has to be reachable before the program asks for a socket. When
// all CPUs run. False: out of memory.
bool configure_network(const BootConfig& configuration);
// Starts the interfaces if they are not up yet: every socket family that uses them calls it.
void start_network();
bool network_is_started();

// Packets wait in a queue of ours (loopback), or for the device to be told of. They are seen to
// at the end of this CPU's outermost NetworkScope, else before it leaves the kernel.
void network_has_work();
// The device is to be told of what this CPU has put into its queue; once until flush().
void network_has_queued(VirtioQueuePair& pair);

// Around whatever may send: a system call of a socket, a timer, a poll. Costs a few instructions,
// and lets the device be told once of all packets, and loopback packets arrive without a detour.
// Never held across a sleep.
class NetworkScope {
  public:
    NetworkScope() : cpu_(cpus.current()) { cpu_.depth++; }
    ~NetworkScope() {
        if (cpu_.depth == 1 && cpu_.has_work) [[unlikely]]
            run_work(cpu_);
        cpu_.depth--;
    }
    NetworkScope(const NetworkScope&) = delete;

    // Before the first; when all CPUs run. False: out of memory.
    static bool prepare() { return cpus.allocate(); }
    // Who pays for packets that have to wait for their device now; null: nobody.
    static SendMemory::Account* sender() { return cpus.current().sender; }

  private:
    friend void network_has_work();
    friend void network_has_queued(VirtioQueuePair& pair);
    struct CpuPart {
        unsigned depth = 0;
        bool has_work = false;
        VirtioQueuePair* queued = nullptr;  // the first of those that are to be flushed
        SendMemory::Account* sender = nullptr;
    };
    friend class SendScope;
    static void run_work(CpuPart& cpu);
    static inline constinit PerCpu<CpuPart> cpus;

    CpuPart& cpu_;
};

// The same around what a socket sends: it pays.
class SendScope {
  public:
    explicit SendScope(const SendMemory& memory) { scope_.cpu_.sender = memory.account(); }
    ~SendScope() { scope_.cpu_.sender = nullptr; }
    SendScope(const SendScope&) = delete;

  private:
    NetworkScope scope_;
};

// Takes what the devices have, without waiting for their interrupts.
void poll_network();

// Whether packets wait for a device, or for a neighbour's address.
bool network_has_unsent_packets();

// Before the VM ends: closes the connections, and waits until what the program has sent is with the
// peers, as it would be on a machine that goes on. Gives up on peers that take nothing for some
// seconds. Nothing else runs meanwhile.
void drain_network();

// Sends the counters that are not 0 to the host, as lines of the VM's own (--stats).
void report_network_statistics();

}  // namespace coracle::net
