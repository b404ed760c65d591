// The memory of one read or write: a list of segments in the application's or the kernel's half,
// consumed from the front. A file copies into or out of it and never sees where it lies.
#pragma once

#include <algorithm>
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
        return IoBuffer(Space::kUser, address, length, 0);
    }
    static IoBuffer kernel(const void* data, size_t length) {
        return IoBuffer(Space::kKernel, reinterpret_cast<uint64_t>(data), 0, length);
    }
    // Precondition: `segments` (user ranges in the lower half) outlives the buffer; `size` is the
    // sum of their lengths.
    IoBuffer(const Segment* segments, size_t size)
        : IoBuffer(Space::kUser, 0, 0, size) { next_ = segments; }

    // Bytes that are left.
    size_t size() const { return piece_ + rest_; }
    bool is_empty() const { return size() == 0; }
    bool is_one_piece_of(size_t length) const { return piece_ == length && rest_ == 0; }

    // Each moves at most `length` and size() bytes, consumes them, and returns how many it moved:
    // fewer means that the application's memory could not be reached (answer EFAULT if nothing at
    // all was moved, else the short count). May sleep: a page may have to be read.
    // Single bytes are done inline, for programs make many such calls.
    size_t copy_out(const void* from, size_t length) {  // into the buffer: the file is read
        if (length == 1 && put(*static_cast<const char*>(from))) return length;
        return copy_out_any(from, length);
    }
    size_t copy_in(void* to, size_t length) {  // out of the buffer: the file is written
        if (length == 1 && take(*static_cast<char*>(to))) return length;
        return copy_in_any(to, length);
    }
    size_t fill_zero(size_t length);

    // One word, at once. False: nothing was moved, and copy_out() or copy_in() may yet do it.
    template <typename Word>
    bool put(Word value) {
        return piece_ >= sizeof(Word) && store_user_word(address_, value) && advance(sizeof(Word));
    }
    template <typename Word>
    bool take(Word& value) {
        return piece_ >= sizeof(Word) && load_user_word(address_, value) && advance(sizeof(Word));
    }

    void skip(size_t length);
    // The next bytes that lie in one piece. Precondition: not empty.
    Segment front();
    // Keeps only the first `size` bytes.
    void truncate(size_t size) {
        piece_ = std::min(piece_, size);
        rest_ = std::min(rest_, size - piece_);
    }

    // RWF_* of preadv2(2) and pwritev2(2), and:
    static constexpr uint32_t kMoreToCome = 1u << 31;  // another write follows at once: MSG_MORE
    // Kernel memory of whole page frames that whoever gets the bytes may keep by reference
    // (get_frame) instead of a copy.
    static constexpr uint32_t kStablePages = 1u << 30;
    uint32_t flags = 0;

  private:
    IoBuffer(Space space, uint64_t address, size_t piece, size_t rest)
        : space_(space), address_(address), piece_(piece), rest_(rest) {}
    size_t advance(size_t done) {
        address_ += done;
        piece_ -= done;
        return done;
    }
    size_t copy_out_any(const void* from, size_t length);
    size_t copy_in_any(void* to, size_t length);
    // Calls move(address, length) -> moved for each piece in turn, until one is short.
    template <typename Move>
    size_t for_each_piece(size_t length, Move move);

    Space space_;
    uint64_t address_;
    size_t piece_;         // bytes of the application's at address_
    size_t rest_;          // behind them: the kernel's at address_, or those of the next segments
    const Segment* next_;  // set only if there are several: rest_ tells when it is the last
};

}  // namespace coracle
