// The memory of one read or write: a list of segments in the application's or the kernel's half,
// consumed from the front. A file copies into or out of it and never sees where it lies.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernel-min/lib/user_copy.h"

namespace coracle {

class IoBuffer {
  public:
    // The layout of struct iovec.
    struct Segment {
        uint64_t address;
        uint64_t length;
    };
    enum class Space : uint8_t { kUser, kKernel };

    // Precondition: a user range lies in the lower half (is_user_range).
    static IoBuffer user(uint64_t address, size_t length) {
        return IoBuffer(Space::kUser, {address, length});
    }
    static IoBuffer kernel(const void* data, size_t length) {
        return IoBuffer(Space::kKernel, {reinterpret_cast<uint64_t>(data), length});
    }
    // Precondition: `segments` (user ranges in the lower half) outlives the buffer; `size` is the
    // sum of their lengths.
    IoBuffer(const Segment* segments, size_t count, size_t size)
        : current_{0, 0}, next_(segments), next_count_(count), size_(size), space_(Space::kUser) {}

    // Bytes that are left.
    size_t size() const { return size_; }
    bool is_empty() const { return size_ == 0; }

    // Each moves at most `length` and size() bytes, consumes them, and returns how many it moved:
    // fewer means that the application's memory could not be reached (answer EFAULT if nothing at
    // all was moved, else the short count). May sleep: a page may have to be read.
    size_t copy_out(const void* from, size_t length);  // into the buffer: the file is read
    size_t copy_in(void* to, size_t length);           // out of the buffer: the file is written
    size_t fill_zero(size_t length);

    void skip(size_t length);
    // Keeps only the first `size` bytes.
    void truncate(size_t size) {
        if (size < size_) size_ = size;
    }

    // RWF_* of preadv2(2) and pwritev2(2).
    uint32_t flags = 0;

  private:
    IoBuffer(Space space, Segment segment) : current_(segment), size_(segment.length), space_(space) {}
    // Calls move(address, length) -> moved for each piece in turn, until one is short.
    template <typename Move>
    size_t for_each_piece(size_t length, Move move);

    Segment current_;
    const Segment* next_ = nullptr;
    size_t next_count_ = 0;
    size_t size_;
    Space space_;
};

}  // namespace coracle
