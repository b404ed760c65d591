// eth0: an Ethernet interface on a virtio network device.
//
// Interrupts are asked for only while the CPU has nothing else to do or frames are rare: one that
// follows another within kBusyNs starts polling, from the idle loop and by a timer while programs
// run, until a poll finds nothing. The transmit queue asks for none but when it is full.
#pragma once

#include "kernel-min/devices/virtio/net.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/gro.h"
#include "libposix/net/link/ethernet.h"

namespace coracle::net {

class VirtioInterface final : public EthernetInterface {
  public:
    explicit VirtioInterface(size_t number);  // ethN
    // ENXIO, ENOMEM.
    Result<void> start(virtio::Transport& transport);

    void transmit(BufferPtr frame) override;
    uint32_t largest_mtu() const override;
    void poll() override;

    // Tells the device of what was queued.
    void flush();
    // Before the CPU halts: true if there was something to do; else interrupts are asked for.
    bool prepare_to_idle();
    // Whether the device has not taken everything yet.
    bool has_unsent_frames();

  private:
    static constexpr uint16_t kQueueSize = 256;
    static constexpr size_t kMaxBacklog = 1000;  // Linux's txqueuelen
    static constexpr size_t kMaxPieces = 20;     // descriptors of one packet
    static constexpr uint64_t kBusyNs = 50'000, kPollIntervalNs = 100'000;

    static void on_interrupt(void* interface);
    static void on_poll_timer(void* interface);
    static void on_refill_timer(void* interface);
    void fill_receive_queue();
    bool receive_frames();
    BufferPtr take_frame(BufferPtr first, uint32_t length);
    void reclaim();
    bool queue_frame(BufferPtr& frame);
    void write_header(Buffer& frame);
    void ask_for_interrupts();
    void update_link();

    virtio::Net device_;
    ReceiveOffload receive_offload_;
    Timer poll_timer_, refill_timer_;
    BufferQueue backlog_;
    size_t backlog_count_ = 0;
    bool is_polling_ = false;
    bool has_queued_ = false;
    uint64_t last_interrupt_ns_ = 0;
};

}  // namespace coracle::net
