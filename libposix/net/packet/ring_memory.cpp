#include "libposix/net/packet/ring_memory.h"

#include <bit>
#include <cstring>
#include <new>

#include "kernel-min/lib/text_line.h"
#include "kernel-min/memory/heap.h"

namespace coracle::net {

Result<void> RingBlocks::allocate(uint32_t count, uint32_t size) {
    if (size > kMaxBlockSize) return Error(ENOMEM);
    blocks_.reset(new (std::nothrow) PhysAddr[count]);
    if (!blocks_) return Error(ENOMEM);
    size_ = size;
    order_ = static_cast<unsigned>(std::bit_width(size / kPageSize - 1));
    for (count_ = 0; count_ < count; count_++) {
        Result<PhysAddr> block = allocate_frames(order_);
        if (!block.ok()) {
            free();
            return block.error();
        }
        blocks_[count_] = block.value();
        memset(phys_to_virt<char>(block.value()), 0, size);
    }
    return {};
}

void RingBlocks::free() {
    for (uint32_t i = 0; i < count_; i++) put_frames(blocks_[i], order_);
    blocks_.reset();
    count_ = size_ = 0;
}

PhysAddr RingBlocks::page(uint64_t index) const {
    const uint64_t pages_of_block = size_ / kPageSize;
    return blocks_[index / pages_of_block] + index % pages_of_block * kPageSize;
}

Result<PhysAddr> RingMemory::page(uint64_t index, bool) {
    const uint64_t received = receive.pages();
    if (index >= received + transmit.pages()) return Error(ENXIO);
    const PhysAddr frame = index < received ? receive.page(index) : transmit.page(index - received);
    get_frame(frame);
    return frame;
}

PhysAddr RingMemory::cached_page(uint64_t index) {
    auto frame = page(index, false);
    return frame.ok() ? frame.value() : 0;
}

void RingMemory::describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                          uint64_t* inode) {
    *device_major = 0;
    *device_minor = 8;  // as /proc/self/maps of Linux shows its sockets' file system
    *inode = inode_;
    TextLine<40> name;
    name.put("socket:[").put_decimal(inode_).put(']');
    const size_t length = std::min(name.view().size(), size - 1);
    memcpy(buffer, name.view().data(), length);
    buffer[length] = '\0';
}

}  // namespace coracle::net
