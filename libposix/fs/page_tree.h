// The pages of a file: a radix tree from page numbers to 64-bit slots, 512 to a node, each node a
// page frame. A file of one page needs no node.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "kernel-min/memory/frames.h"

namespace coracle {

class PageTree {
  public:
    static constexpr uint64_t kMaxPages = uint64_t{1} << 51;

    PageTree() = default;
    PageTree(const PageTree&) = delete;
    PageTree& operator=(const PageTree&) = delete;
    // Precondition: empty; only the owner knows what the slots hold.
    ~PageTree();

    // The slot of a page; 0 is an empty one. Moves when another page is set.
    uint64_t get(uint64_t index) const;
    // ENOMEM. Setting 0 needs no memory.
    Result<void> set(uint64_t index, uint64_t slot);
    // The first slot that is not 0 from `index` on: sets `index` to its page. 0 if there is none.
    uint64_t next(uint64_t& index) const;
    // Empties the slots first <= page < end, with drop(slot) for each that is not 0, and frees the
    // nodes that become empty.
    template <typename Drop>
    void clear(uint64_t first, uint64_t end, Drop drop) {
        clear_with(
            first, end, [](void* context, uint64_t slot) { (*static_cast<Drop*>(context))(slot); },
            &drop);
    }

  private:
    static constexpr unsigned kBits = 9;
    static constexpr uint64_t kFanOut = uint64_t{1} << kBits;
    using DropFunction = void (*)(void*, uint64_t);

    uint64_t capacity() const { return uint64_t{1} << (kBits * height_); }
    Result<void> grow();
    void clear_with(uint64_t first, uint64_t end, DropFunction drop, void* context);
    static bool clear_node(uint64_t* node, unsigned level, uint64_t first, uint64_t end,
                           DropFunction drop, void* context);
    static uint64_t next_in(const uint64_t* node, unsigned level, uint64_t base, uint64_t& index);

    uint64_t root_ = 0;  // the slot of page 0 if height_ is 0, else a node's frame
    unsigned height_ = 0;
};

}  // namespace coracle
