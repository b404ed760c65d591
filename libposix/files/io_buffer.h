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
    enum class Space : uint32_t { kUser, kKernel };

    // Precondition: a user range lies in the lower half (is_user_range).
    static IoBuffer user(uint64_t address, size_t length) {
        return IoBuffer(Space::kUser, {address, length});
    }
    static IoBuffer kernel(const void* data, size_t length) {
        return IoBuffer(Space::kKernel, {reinterpret_cast<uint64_t>(data), length});
    }
    // Precondition: `segments` (user ranges in the lower half) outlives the buffer; `size` is the
    // sum of their lengths.
    IoBuffer(const Segment* segments, size_t size)
        : space_(Space::kUser), current_{0, 0}, size_(size), next_(segments) {}

    // Bytes that are left.
    size_t size() const { return size_; }
    bool is_empty() const { return size_ == 0; }

    // Each moves at most `length` and size() bytes, consumes them, and returns how many it moved:
    // fewer means that the application's memory could not be reached (answer EFAULT if nothing at
    // all was moved, else the short count). May sleep: a page may have to be read.
    size_t copy_out(const void* from, size_t length) {  // into the buffer: the file is read
        if (!is_one_user_piece(length)) [[unlikely]] return copy_out_pieces(from, length);
        return advance(copy_to_user_partial(current_.address, from, length));
    }
    size_t copy_in(void* to, size_t length) {  // out of the buffer: the file is written
        if (!is_one_user_piece(length)) [[unlikely]] return copy_in_pieces(to, length);
        return advance(copy_from_user_partial(to, current_.address, length));
    }
    size_t fill_zero(size_t length) {
        if (!is_one_user_piece(length)) [[unlikely]] return fill_pieces_with_zero(length);
        return advance(length - clear_user_raw(reinterpret_cast<void*>(current_.address), length));
    }

    void skip(size_t length);
    // Keeps only the first `size` bytes.
    void truncate(size_t size) {
        if (size < size_) size_ = size;
    }

    // RWF_* of preadv2(2) and pwritev2(2), and:
    static constexpr uint32_t kMoreToCome = 1u << 31;  // another write follows at once: MSG_MORE
    uint32_t flags = 0;

  private:
    IoBuffer(Space space, Segment segment)
        : space_(space), current_(segment), size_(segment.length) {}
    // One piece of the application's, as almost always.
    bool is_one_user_piece(size_t length) const {
        return space_ == Space::kUser && length <= current_.length && length <= size_;
    }
    size_t advance(size_t done) {
        current_.address += done;
        current_.length -= done;
        size_ -= done;
        return done;
    }
    size_t copy_out_pieces(const void* from, size_t length);
    size_t copy_in_pieces(void* to, size_t length);
    size_t fill_pieces_with_zero(size_t length);
    // Calls move(address, length) -> moved for each piece in turn, until one is short.
    template <typename Move>
    size_t for_each_piece(size_t length, Move move);

    Space space_;
    Segment current_;
    size_t size_;
    const Segment* next_;  // set only if there are several: size_ tells when it is the last
};

}  // namespace coracle
