#include "libposix/net/buffer.h"

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/deferred_work.h"

namespace coracle::net {

namespace {
// What a CPU keeps of each class: 1 MiB of each, more of the headers that every packet needs.
constexpr uint32_t kMaxFree[kBufferClasses] = {8192, 2048, 1024, 64, 16};

struct FreeList {
    Buffer* first = nullptr;
    uint32_t count = 0;
};

struct FreeLists {
    FreeList of_class[kBufferClasses];
};
}  // namespace

struct BufferPool {
    PerCpu<FreeLists> cpus;
    // These change only when the kernel's heap does.
    std::atomic<size_t> allocated[kBufferClasses] = {};  // in use or free
    std::atomic<size_t> failed{0};
    LocalLock wrapped_lock;
    Buffer* wrapped = nullptr;  // to be released

    void push(Buffer* block) {
        FreeList& list = cpus.current().of_class[block->size_class_];
        if (list.count >= kMaxFree[block->size_class_]) {
            allocated[block->size_class_]--;
            buffer_memory.allocated -= kBufferBlockSizes[block->size_class_];
            kernel_free(block);
            return;
        }
        block->queue_next_ = list.first;
        list.first = block;
        list.count++;
    }
    void* pop(size_t size_class) {
        FreeList& list = cpus.current().of_class[size_class];
        if (Buffer* block = list.first) [[likely]] {
            list.first = block->queue_next_;
            list.count--;
            return block;
        }
        void* block = kernel_allocate(kBufferBlockSizes[size_class]);
        if (!block) {
            failed++;
            return nullptr;
        }
        allocated[size_class]++;
        buffer_memory.allocated += kBufferBlockSizes[size_class];
        return block;
    }
    // Freed under the kernel lock held locally.
    void keep_wrapped(Buffer* owner) {
        LocalLockGuard guard(wrapped_lock);
        owner->queue_next_ = wrapped;
        wrapped = owner;
        do_deferred_work();
    }
    void release_wrapped() {
        while (Buffer* owner = wrapped) {
            wrapped = owner->queue_next_;
            Buffer::destroy_block(owner);
        }
    }
    void drain() {
        cpus.for_each([this](FreeLists& lists) {
            for (size_t size_class = 0; size_class < kBufferClasses; size_class++) {
                FreeList& list = lists.of_class[size_class];
                while (Buffer* block = list.first) {
                    list.first = block->queue_next_;
                    kernel_free(block);
                }
                allocated[size_class] -= list.count;
                buffer_memory.allocated -= list.count * kBufferBlockSizes[size_class];
                list.count = 0;
            }
        });
    }
};

namespace {
// Never destroyed: buffers come back even then.
union PoolStorage {
    constexpr PoolStorage() : pool() {}
    ~PoolStorage() {}
    BufferPool pool;
};
constinit PoolStorage storage;
constinit BufferPool& pool = storage.pool;
}  // namespace

bool allocate_buffer_pools() {
    return pool.cpus.allocate();
}

void* Buffer::take_block(size_t size_class) {
    return pool.pop(size_class);
}
void Buffer::recycle(Buffer* block) {
    pool.push(block);
}

void Buffer::destroy_block(Buffer* owner) {
    if (owner->release_) {
        if (holds_lock_locally()) return pool.keep_wrapped(owner);
        owner->release_(owner->begin_, owner->release_context_);
    }
    pool.push(owner);
}

void release_wrapped_buffers() {
    pool.release_wrapped();
}

BufferPtr Buffer::allocate(size_t capacity, size_t headroom) {
    size_t size_class = 1;
    while (capacity > buffer_capacity(size_class)) {
        if (++size_class == kBufferClasses) return nullptr;
    }
    ASSERT(headroom <= buffer_capacity(size_class));
    void* block = take_block(size_class);
    if (!block) return nullptr;
    Buffer* buffer = new (block) Buffer;
    buffer->size_class_ = static_cast<uint8_t>(size_class);
    buffer->memory_size_ = static_cast<uint32_t>(kBufferBlockSizes[size_class]);
    buffer->begin_ = static_cast<uint8_t*>(block) + kBufferHeaderSize;
    buffer->end_ = static_cast<uint8_t*>(block) + kBufferBlockSizes[size_class];
    buffer->data_ = buffer->begin_ + headroom;
    return BufferPtr(buffer);
}

BufferPtr Buffer::wrap(void* data, size_t length, Release release, void* context) {
    void* block = take_block(0);
    if (!block) return nullptr;
    Buffer* buffer = new (block) Buffer;
    buffer->data_ = buffer->begin_ = static_cast<uint8_t*>(data);
    buffer->end_ = buffer->begin_ + length;
    buffer->length_ = static_cast<uint32_t>(length);
    buffer->memory_size_ += buffer->length_;
    buffer->release_ = release;
    buffer->release_context_ = context;
    return BufferPtr(buffer);
}

BufferPtr Buffer::share(size_t offset, size_t length) {
    ASSERT(offset + length <= length_);
    void* block = take_block(0);
    if (!block) return nullptr;
    Buffer* buffer = new (block) Buffer;
    buffer->owner_ = owner_;
    owner_->references_.fetch_add(1, std::memory_order_relaxed);
    buffer->data_ = buffer->begin_ = data_ + offset;
    buffer->end_ = buffer->begin_ + length;
    buffer->length_ = static_cast<uint32_t>(length);
    return BufferPtr(buffer);
}

BufferPtr Buffer::share_with_headroom() {
    ASSERT(!is_shared());
    BufferPtr buffer = share(0, length_);
    if (buffer) buffer->begin_ = begin_;
    return buffer;
}

bool Buffer::copy_out(size_t offset, void* to, size_t size) const {
    auto* target = static_cast<uint8_t*>(to);
    for (const Buffer* buffer = this; buffer && size; buffer = buffer->next_) {
        if (offset >= buffer->length_) {
            offset -= buffer->length_;
            continue;
        }
        size_t piece = std::min<size_t>(size, buffer->length_ - offset);
        memcpy(target, buffer->data_ + offset, piece);
        target += piece;
        size -= piece;
        offset = 0;
    }
    return size == 0;
}

BufferStatistics buffer_statistics() {
    BufferStatistics statistics{};
    for (size_t size_class = 0; size_class < kBufferClasses; size_class++) {
        pool.cpus.for_each([&](const FreeLists& lists) {
            statistics.free[size_class] += lists.of_class[size_class].count;
        });
        statistics.in_use[size_class] = pool.allocated[size_class] - statistics.free[size_class];
    }
    statistics.failed_allocations = pool.failed;
    return statistics;
}

void drain_buffer_pools() {
    pool.drain();
}

}  // namespace coracle::net
