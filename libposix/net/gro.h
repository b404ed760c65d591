// Generic receive offload: TCP segments of one flow that come in one after the other become one
// packet, so that TCP looks up, checks and acknowledges once for many.
#pragma once

#include "libposix/net/interface.h"

namespace coracle::net {

class ReceiveOffload {
  public:
    // `deliver` takes frames from their Ethernet header on.
    using Deliver = void (*)(BufferPtr frame, Interface& interface);
    ReceiveOffload(Interface& interface, Deliver deliver)
        : interface_(interface), deliver_(deliver) {}

    // A frame that came in. It is delivered now or by flush(), within its flow in order.
    void receive(BufferPtr frame);
    // At the end of a batch.
    void flush();

  private:
    static constexpr size_t kMaxHeld = 8;
    static constexpr size_t kMaxMerged = 65535 - 60;

    struct Segment {
        const uint8_t* network;
        const uint8_t* transport;
        size_t header;  // bytes before the payload, from the frame's start
        size_t payload;
        uint32_t sequence;
        uint8_t flags;
        bool is_v4;
    };
    struct Held {
        BufferPtr frame;
        Buffer* last;
        Segment first;
        uint32_t next_sequence;
        size_t payload;
        size_t segments;
        bool is_closed;  // a shorter segment or PSH was the last of it
    };

    static bool parse(Buffer& frame, Segment& to);
    static bool same_flow(const Segment& a, const Segment& b);
    static bool can_follow(const Held& held, const Segment& segment);
    void deliver(Held& held);
    void remove(size_t index);

    Interface& interface_;
    Deliver deliver_;
    Held held_[kMaxHeld];
    size_t held_count_ = 0;
};

}  // namespace coracle::net
