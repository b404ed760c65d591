// The loopback interface `lo`: packets for this machine's own addresses.
//
// What is sent waits in a queue of the CPU until its poll(), so that a protocol's input never runs
// inside its own output.
#pragma once

#include "libposix/net/interface.h"

namespace coracle::net {

constexpr uint32_t kLoopbackMtu = 65536;  // Linux's

class LoopbackInterface final : public Interface {
  public:
    LoopbackInterface();
    void output(BufferPtr packet, const IpAddress& next_hop) override;
    void transmit(BufferPtr frame) override;
    void poll() override;
    bool has_packets() const { return !queues_.current().is_empty(); }

  private:
    friend void loop_back(BufferPtr packet, Interface& interface);
    void enqueue(BufferPtr packet);
    bool receive_frame(Buffer& frame);
    // Packets; frames where info.ethernet_protocol is set.
    PerCpu<BufferQueue> queues_;
};

// A copy of what goes out by `interface` to a group, for members on this machine.
void loop_back(BufferPtr packet, Interface& interface);

// The one there is; null before the network is started, and if there was no memory for it.
LoopbackInterface* loopback();

}  // namespace coracle::net
