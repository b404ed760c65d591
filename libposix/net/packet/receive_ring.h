// Frames that come in, handed to the program in memory that it shares (PACKET_RX_RING, all
// versions).
#pragma once

#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/buffer.h"
#include "libposix/net/packet/fanout.h"
#include "libposix/net/packet/ring_layout.h"
#include "libposix/net/packet/ring_memory.h"

namespace coracle::net {

// What is told of a frame.
struct RingFrame {
    const Buffer& frame;
    size_t skip;            // bytes of it that the program does not get
    uint32_t length, kept;  // of what it gets; what the filter keeps of that
    uint32_t status;        // TP_STATUS_*
    uint64_t time_ns;       // since 1970
    sockaddr_ll from;
};

class ReceiveRing {
  public:
    // What lies in front of the packets.
    struct Form {
        bool has_link_header, has_vnet_header;
    };
    // `blocks` are of this layout. `changed(context)` is called when something becomes readable.
    ReceiveRing(const RingLayout& layout, Form form, RingBlocks& blocks, void (*changed)(void*),
                void* context);

    // False: there is no room.
    bool put(const RingFrame& frame);
    Room room() const;
    // Whether so many bytes are too many for a frame (versions 1 and 2).
    bool cuts(uint32_t length) const { return link_offset_ + length > layout_.frame_size; }
    bool is_readable() const;
    // How often the program left no block free (version 3), since the last call.
    uint32_t take_freezes() { return std::exchange(freezes_, 0); }

  private:
    static void on_timeout(void* ring);
    bool put_frame(const RingFrame& frame);
    bool put_into_block(const RingFrame& frame);
    void fill(char* at, const RingFrame& frame, uint32_t kept);
    bool is_free(uint32_t ahead) const;
    char* frame_at(uint32_t index) const;
    tpacket_hdr_v1& block_header(uint32_t index) const;
    bool open_block();
    void close_block(uint32_t status);
    void start_timer();

    RingLayout layout_;
    uint32_t network_offset_, link_offset_;  // in a frame
    bool has_vnet_header_;
    RingBlocks& blocks_;
    void (*changed_)(void*);
    void* context_;
    uint32_t head_ = 0;  // the frame, or of version 3 the block, to fill next
    // Version 3.
    Timer timer_;
    bool is_open_ = false;  // block head_ is being filled
    uint32_t next_offset_ = 0, last_offset_ = 0, packets_in_block_ = 0, freezes_ = 0;
    uint64_t next_sequence_ = 1;
};

}  // namespace coracle::net
