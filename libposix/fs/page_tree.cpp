#include "libposix/fs/page_tree.h"

#include <algorithm>

#include "kernel-min/lib/panic.h"

namespace coracle {
namespace {

uint64_t* as_node(uint64_t frame) { return phys_to_virt<uint64_t>(frame); }

}  // namespace

PageTree::~PageTree() { ASSERT(root_ == 0); }

uint64_t PageTree::get(uint64_t index) const {
    if (index >= capacity()) return 0;
    uint64_t slot = root_;
    for (unsigned level = height_; level > 0 && slot != 0; level--) {
        slot = as_node(slot)[index >> (kBits * (level - 1)) & (kFanOut - 1)];
    }
    return slot;
}

Result<void> PageTree::grow() {
    if (root_ != 0) {
        PhysAddr node = TRY(allocate_zeroed_frame());
        as_node(node)[0] = root_;
        root_ = node;
    }
    height_++;
    return {};
}

Result<void> PageTree::set(uint64_t index, uint64_t slot) {
    if (slot == 0 && get(index) == 0) return {};
    while (index >= capacity()) TRY(grow());
    uint64_t* place = &root_;
    for (unsigned level = height_; level > 0; level--) {
        if (*place == 0) *place = TRY(allocate_zeroed_frame());
        place = &as_node(*place)[index >> (kBits * (level - 1)) & (kFanOut - 1)];
    }
    *place = slot;
    return {};
}

uint64_t PageTree::next_in(const uint64_t* node, unsigned level, uint64_t base, uint64_t& index) {
    unsigned shift = kBits * (level - 1);
    for (uint64_t i = index > base ? (index - base) >> shift : 0; i < kFanOut; i++) {
        uint64_t start = base + (i << shift);
        if (node[i] == 0) continue;
        uint64_t slot = node[i];
        if (level > 1) {
            slot = next_in(as_node(node[i]), level - 1, start, index);
        } else {
            index = start;
        }
        if (slot != 0) return slot;
    }
    return 0;
}

uint64_t PageTree::next(uint64_t& index) const {
    if (root_ == 0 || index >= capacity()) return 0;
    if (height_ == 0) return root_;
    return next_in(as_node(root_), height_, 0, index);
}

// Returns whether the node is empty afterwards. `first` and `end` count from the node's start.
bool PageTree::clear_node(uint64_t* node, unsigned level, uint64_t first, uint64_t end,
                          DropFunction drop, void* context) {
    unsigned shift = kBits * (level - 1);
    uint64_t span = uint64_t{1} << shift;
    end = std::min(end, span << kBits);
    for (uint64_t i = first >> shift; i << shift < end; i++) {
        if (node[i] == 0) continue;
        uint64_t start = i << shift;
        if (level == 1) {
            drop(context, node[i]);
            node[i] = 0;
            continue;
        }
        uint64_t low = first > start ? first - start : 0;
        if (clear_node(as_node(node[i]), level - 1, low, end - start, drop, context)) {
            put_frame(node[i]);
            node[i] = 0;
        }
    }
    return std::all_of(node, node + kFanOut, [](uint64_t slot) { return slot == 0; });
}

void PageTree::clear_with(uint64_t first, uint64_t end, DropFunction drop, void* context) {
    if (root_ == 0 || first >= end || first >= capacity()) return;
    if (height_ == 0) {
        drop(context, root_);
        root_ = 0;
        return;
    }
    if (clear_node(as_node(root_), height_, first, end, drop, context)) {
        put_frame(root_);
        root_ = 0;
        height_ = 0;
    }
}

}  // namespace coracle
