// A receive and a transmit queue of a virtio network device.
//
// Interrupts are asked for only while the CPU has nothing else to do or frames are rare: one that
// follows another within kBusyNs starts polling, from the idle loop and by a timer while programs
// run, until a poll finds nothing. The transmit queue asks for none but when it is full.
//
// The kernel lock may be held locally: the receive queue belongs to the pair's CPU then.
#pragma once

#include "kernel-min/devices/virtio/net.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/gro.h"
#include "libposix/net/interface.h"

namespace coracle::net {

class VirtioQueuePair {
  public:
    static constexpr uint16_t kQueueSize = 256;

    // `index` of the device's pairs; counts in the interface's statistics.
    VirtioQueuePair(Interface& interface, virtio::Net& device, unsigned index);
    // Hands buffers to the device, and asks for interrupts.
    void start();

    // A whole frame, of which flush() tells the device at the end of the CPU's NetworkScope.
    void transmit(BufferPtr& frame);
    void flush();
    VirtioQueuePair* next_queued = nullptr;  // NetworkScope's
    // Frames that transmit() took, and those of them that the device has sent or that were dropped.
    uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }
    uint64_t completed() const { return completed_.load(std::memory_order_relaxed); }
    uint64_t received() const { return received_; }
    uint64_t interrupts() const { return interrupts_; }

    // To be called in a NetworkScope. True: the device had something.
    bool poll();
    bool on_interrupt();
    // The CPU on which on_interrupt() is to be called.
    unsigned cpu() const { return cpu_; }
    // Before the CPU halts: true if there was something to do; else interrupts are asked for.
    bool prepare_to_idle() { return is_polling_ && poll_while_idle(); }
    // Whether the device has not taken everything yet.
    bool has_unsent_frames();

  private:
    static constexpr size_t kMaxBacklog = 1000;  // Linux's txqueuelen
    static constexpr size_t kMaxPieces = 20;     // descriptors of one packet
    static constexpr uint64_t kBusyNs = 50'000, kPollIntervalNs = 100'000;

    static void on_poll_timer(void* pair);
    static void on_refill_timer(void* pair);
    void fill_receive_queue();
    bool receive_frames();
    bool poll_while_idle();
    BufferPtr take_frame(BufferPtr first, uint32_t length);
    bool reclaim();
    bool reclaim_locked();
    bool reclaim_sent();
    void send_backlog();
    void watch_transmit();
    bool queue_frame(BufferPtr& frame);
    void write_header(Buffer& frame);
    void ask_for_interrupts();

    Interface& interface_;
    virtio::Net& device_;
    virtio::Virtqueue& receive_;
    virtio::Virtqueue& transmit_;
    const unsigned index_, cpu_;
    ReceiveOffload receive_offload_;
    Timer poll_timer_, refill_timer_;
    // Of the transmit queue and what is below: other CPUs may send by it.
    LocalLock transmit_lock_;
    BufferQueue backlog_;
    size_t backlog_count_ = 0;
    // Other CPUs look at these without the lock.
    std::atomic<uint64_t> accepted_{0}, completed_{0};
    uint64_t received_ = 0, interrupts_ = 0;
    bool is_polling_ = false;
    bool has_queued_ = false;  // flush() will be called
    uint64_t last_interrupt_ns_ = 0;
};

}  // namespace coracle::net
