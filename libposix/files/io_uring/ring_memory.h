// The memory that a program shares with an io_uring: both rings in one block, and the submission
// queue entries in another (man 2 io_uring_setup).
//
// The program writes all of it at any time: heads and tails are masked, and nothing read from it is
// trusted twice.
#pragma once

#include <linux/io_uring.h>

#include <atomic>

#include "libposix/memory/memory_object.h"

namespace coracle {

class TextBuffer;

class RingMemory final : public MemoryObject {
  public:
    static constexpr unsigned kMaxEntries = 32768;  // of submissions; completions: twice that

    // Powers of two. ENOMEM.
    static Result<RefPtr<RingMemory>> create(unsigned submissions, unsigned completions);
    ~RingMemory() override;
    void fill_offsets(io_uring_params& to) const;

    // Submissions.
    unsigned submission_count() const { return submissions_; }
    unsigned waiting_submissions() const;
    // Takes the next one; false if its index was out of range: it is dropped.
    bool take(io_uring_sqe& to);
    void set_flag(uint32_t flag) { word(kFlags).fetch_or(flag); }
    void clear_flag(uint32_t flag) { word(kFlags).fetch_and(~flag); }

    // Completions.
    unsigned completion_count() const { return completions_; }
    unsigned ready_completions() const;
    bool is_full() const { return ready_completions() >= completions_; }
    // Precondition: !is_full().
    void put(const io_uring_cqe& completion);
    void count_overflow() { word(kOverflow).fetch_add(1); }
    bool suppresses_eventfd() const { return word(kCompletionFlags) & IORING_CQ_EVENTFD_DISABLED; }

    // The rings' lines of /proc/PID/fdinfo/N.
    void describe_state(TextBuffer& to) const;

    // MemoryObject: by the offsets IORING_OFF_*.
    Result<PhysAddr> page(uint64_t index, bool for_write) override;
    PhysAddr cached_page(uint64_t index) override;
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override;

  private:
    // Words at the start of the ring block, by index.
    enum Word : unsigned {
        kHead,
        kTail,
        kMask,
        kEntries,
        kFlags,
        kDropped,
        kCompletionHead = 16,
        kCompletionTail,
        kCompletionMask,
        kCompletionEntries,
        kOverflow,
        kCompletionFlags,
        kWords = 32,
    };
    RingMemory(unsigned submissions, unsigned completions)
        : submissions_(submissions), completions_(completions) {}
    std::atomic<uint32_t>& word(Word which) const {
        return phys_to_virt<std::atomic<uint32_t>>(rings_)[which];
    }
    size_t completions_offset() const { return kWords * sizeof(uint32_t); }
    size_t array_offset() const {
        return completions_offset() + completions_ * sizeof(io_uring_cqe);
    }
    size_t rings_size() const { return array_offset() + submissions_ * sizeof(uint32_t); }
    size_t entries_size() const { return submissions_ * sizeof(io_uring_sqe); }

    const unsigned submissions_, completions_;
    PhysAddr rings_ = 0, entries_ = 0;  // contiguous
    unsigned rings_order_ = 0, entries_order_ = 0;
};

}  // namespace coracle
