#include "libposix/net/inet/zero_copy.h"

#include <poll.h>

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "libposix/memory/address_space.h"
#include "libposix/net/awaited_sends.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

constexpr size_t kMostPages = 16;  // in one buffer chain

void release_frame(void* data, void*) {
    put_frame(direct_to_phys(data) & ~(kPageSize - 1));
}

void release_frame_of_send(void* data, void* send) {
    release_frame(data, nullptr);
    static_cast<ZeroCopySend*>(send)->unref();
}

size_t rest_of_page(uint64_t address) {
    return kPageSize - address % kPageSize;
}

}  // namespace

Result<RefPtr<ZeroCopySend>> ZeroCopySend::begin(RefPtr<ZeroCopyCounter>& counter,
                                                 ErrorQueue& errors, WaitQueue& changed,
                                                 bool is_copied) {
    if (!counter) counter = TRY(make_ref<ZeroCopyCounter>(errors, changed));
    if (counter->outstanding_ == ZeroCopyCounter::kMaxOutstanding) return Error(ENOBUFS);
    return make_ref<ZeroCopySend>(counter, is_copied);
}

ZeroCopySend::ZeroCopySend(RefPtr<ZeroCopyCounter> counter, bool is_copied)
    : counter_(std::move(counter)), number_(counter_->next_++), is_copied_(is_copied) {
    counter_->outstanding_++;
    awaited_sends++;
}

ZeroCopySend::~ZeroCopySend() {
    ZeroCopyCounter& counter = *counter_;
    counter.outstanding_--;
    awaited_sends--;
    if (!is_counted_) {
        if (counter.next_ == number_ + 1) counter.next_ = number_;
        return;
    }
    if (!counter.errors_) return;
    counter.errors_->push_zero_copy(number_, is_copied_);
    counter.changed_.wake_all(POLLERR);
}

Result<BufferPtr> ZeroCopySend::take_page(IoBuffer& from, size_t limit) {
    const IoBuffer::Segment front = from.front();
    AddressSpace& memory = *current_process()->address_space;
    const PhysAddr frame = TRY(memory.reference_page(page_down(front.address)));
    const size_t size = std::min<size_t>({front.length, rest_of_page(front.address), limit});
    ref();
    BufferPtr page = Buffer::wrap(phys_to_virt<char>(frame) + front.address % kPageSize, size,
                                  release_frame_of_send, this);
    if (!page) {
        put_frame(frame);
        unref();
        return Error(ENOBUFS);
    }
    from.skip(size);
    return page;
}

Result<BufferPtr> ZeroCopySend::take_pages(IoBuffer& from, size_t limit) {
    BufferPtr first = TRY(take_page(from, limit));
    Buffer* last = first.get();
    limit -= last->length();
    for (size_t i = 1; i < kMostPages && limit > 0 && !from.is_empty(); i++) {
        Result<BufferPtr> next = take_page(from, limit);
        if (!next.ok()) break;  // the next call says why
        Buffer* added = next.value().get();
        last->set_next(next.release_value());
        last = added;
        limit -= last->length();
    }
    return first;
}

bool can_send_pages(const Route& route) {
    return !route.is_local && route.interface->offloads.checksum;
}

Result<BufferPtr> take_stable_page(IoBuffer& from, size_t limit) {
    const IoBuffer::Segment front = from.front();
    auto* data = reinterpret_cast<char*>(front.address);
    const size_t size = std::min<size_t>({front.length, rest_of_page(front.address), limit});
    BufferPtr page = Buffer::wrap(data, size, release_frame, nullptr);
    if (!page) return Error(ENOBUFS);
    get_frame(page_down(direct_to_phys(data)));
    from.skip(size);
    return page;
}

}  // namespace coracle::net
