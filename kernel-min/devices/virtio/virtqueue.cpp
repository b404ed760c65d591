#include "kernel-min/devices/virtio/virtqueue.h"

#include <atomic>
#include <cstring>

#include "kernel-min/lib/panic.h"

namespace coracle::virtio {

namespace {

// The device runs on another CPU of the host, so its fields are read and written atomically.
template <typename T>
T load(const T& field, std::memory_order order = std::memory_order_relaxed) {
    return std::atomic_ref<T>(const_cast<T&>(field)).load(order);
}
template <typename T>
void store(T& field, T value, std::memory_order order = std::memory_order_relaxed) {
    std::atomic_ref<T>(field).store(value, order);
}

}  // namespace

void Virtqueue::initialize(void* memory, PhysAddr physical_memory, uint16_t size,
                           bool event_index) {
    ASSERT(size != 0 && (size & (size - 1)) == 0 && size <= kMaxQueueSize);
    memset(memory, 0, memory_size(size));
    char* bytes = static_cast<char*>(memory);
    descriptors_ = reinterpret_cast<Descriptor*>(bytes);
    available_ = reinterpret_cast<AvailableRing*>(bytes + 16 * size_t{size});
    used_ = reinterpret_cast<UsedRing*>(bytes + used_offset(size));
    physical_memory_ = physical_memory;
    size_ = free_count_ = size;
    event_index_ = event_index;
    free_head_ = next_available_ = next_used_ = 0;
    for (uint16_t i = 0; i < size; i++) {
        descriptors_[i].next = i + 1;
        chain_length_[i] = 0;
    }
}

bool Virtqueue::add(std::span<const Buffer> chain, uint64_t token) {
    ASSERT(!chain.empty());
    if (chain.size() > free_count_) return false;
    uint16_t head = free_head_;
    Descriptor* last = &descriptors_[head];
    for (const Buffer& buffer : chain) {
        last = &descriptors_[free_head_];
        last->address = buffer.address;
        last->length = buffer.length;
        last->flags = kDescriptorNext | (buffer.device_writes ? kDescriptorWrite : 0);
        free_head_ = last->next;
    }
    last->flags &= ~kDescriptorNext;
    free_count_ -= chain.size();
    tokens_[head] = token;
    chain_length_[head] = chain.size();
    available_->ring[next_available_ & (size_ - 1)] = head;
    next_available_++;
    return true;
}

// Between a store that the device must see and a load that tells what it wants. QEMU's TCG leaves
// out the barriers of a guest with one CPU, though its own threads are the other side: there, only
// what leaves the translated code orders, and `pause` does. On a CPU it is a matter of some cycles.
static void order_with_device() {
    __builtin_ia32_pause();
    std::atomic_thread_fence(std::memory_order_seq_cst);
}

bool Virtqueue::wants_notification(uint16_t old_index) const {
    if (!event_index_) return !(load(used_->flags) & kUsedNoNotify);
    uint16_t event = available_event();
    return static_cast<uint16_t>(next_available_ - event - 1) <
           static_cast<uint16_t>(next_available_ - old_index);
}

bool Virtqueue::publish() {
    uint16_t old_index = available_->index;
    if (old_index == next_available_) return false;
    store(available_->index, next_available_, std::memory_order_release);
    // The index must be visible before the device's wish is read (2.7.13.4).
    // One notification too many does no harm.
    if (wants_notification(old_index)) return true;
    order_with_device();
    return wants_notification(old_index);
}

bool Virtqueue::has_used() const {
    return load(used_->index, std::memory_order_acquire) != next_used_;
}

std::optional<Virtqueue::Used> Virtqueue::take_used() {
    while (has_used()) {
        UsedElement element = used_->ring[next_used_ & (size_ - 1)];
        next_used_++;
        if (element.id >= size_ || chain_length_[element.id] == 0) continue;
        uint16_t head = element.id;
        uint16_t length = chain_length_[head];
        chain_length_[head] = 0;
        uint16_t last = head;
        for (uint16_t i = 1; i < length; i++) last = descriptors_[last].next;
        descriptors_[last].next = free_head_;
        free_head_ = head;
        free_count_ += length;
        return Used{tokens_[head], element.length};
    }
    return std::nullopt;
}

void Virtqueue::disable_interrupts() {
    if (event_index_) {
        // As far away as an index can be.
        store(used_event(), static_cast<uint16_t>(next_used_ + 0x8000));
    } else {
        store(available_->flags, kAvailableNoInterrupt);
    }
}

bool Virtqueue::enable_interrupts() {
    if (event_index_) {
        store(used_event(), next_used_);
    } else {
        store(available_->flags, uint16_t{0});
    }
    if (has_used()) return true;
    order_with_device();
    return has_used();
}

uint16_t Virtqueue::available_event() const {
    // The ring's entries are followed by one number.
    uint16_t event;
    static_assert(sizeof(event) == 2);
    asm volatile("movw %1, %0" : "=r"(event) : "m"(used_->ring[size_]));
    return event;
}

}  // namespace coracle::virtio
