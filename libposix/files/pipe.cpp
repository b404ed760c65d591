#include "libposix/files/pipe.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

Result<RefPtr<Pipe>> Pipe::create() {
    RefPtr<Pipe> pipe = TRY(make_ref<Pipe>());
    TRY(pipe->resize(kDefaultPages * kPageSize));
    return pipe;
}

Pipe::~Pipe() {
    while (count_ != 0) drop_first();
    if (spare_ != 0) put_frame(spare_);
    delete[] ring_;
}

Result<size_t> Pipe::resize(size_t size) {
    SleepLockGuard guard(lock);
    size_t pages = std::bit_ceil(std::max<size_t>((size + kPageSize - 1) / kPageSize, 1));
    if (count_ > pages) return Error(EBUSY);
    std::unique_ptr<Buffer[]> ring(new (std::nothrow) Buffer[pages]);
    if (!ring) return Error(ENOMEM);
    for (size_t i = 0; i < count_; i++) ring[i] = at(i);
    delete[] ring_;
    ring_ = ring.release();
    ring_size_ = page_limit_ = pages;
    first_ = 0;
    wake_writers();
    return capacity();
}

size_t Pipe::bytes() const {
    size_t sum = 0;
    for (size_t i = 0; i < count_; i++) sum += at(i).length;
    return sum;
}

Pipe::Buffer Pipe::take_first() {
    Buffer buffer = at(0);
    first_ = (first_ + 1) & (ring_size_ - 1);
    count_--;
    return buffer;
}

void Pipe::drop_first() {
    const Buffer& buffer = at(0);
    if (spare_ == 0 && !buffer.is_shared) {
        spare_ = buffer.frame;
    } else {
        put_frame(buffer.frame);
    }
    first_ = (first_ + 1) & (ring_size_ - 1);
    count_--;
}

void Pipe::consume(size_t size) {
    Buffer& buffer = at(0);
    buffer.start += static_cast<uint32_t>(size);
    buffer.length -= static_cast<uint32_t>(size);
    if (buffer.length == 0 || buffer.is_packet) drop_first();
}

template <typename Predicate>
Result<void> Pipe::wait_unlocked(Predicate predicate) {
    lock.unlock();
    Result<void> waited = wait_until(changed, Deadline::never(), predicate);
    lock.lock();
    return waited;
}

Result<void> Pipe::wait_for_data(bool nonblocking) {
    while (count_ == 0 && writers != 0) {
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_unlocked([this] { return count_ != 0 || writers == 0; }));
    }
    return {};
}

Result<void> Pipe::wait_for_room(bool nonblocking) {
    for (;;) {
        if (readers == 0) {
            send_kernel_signal_to_thread(*current_thread(), kSigPipe);
            return Error(EPIPE);
        }
        if (!is_full()) return {};
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_unlocked([this] { return readers == 0 || !is_full(); }));
    }
}

// The usual case of read(): all that there is, in one page.
Result<size_t> Pipe::read_only_page(IoBuffer& to) {
    SleepLockGuard guard(lock);
    const Buffer& buffer = at(0);
    const size_t size = buffer.length;
    const size_t moved = to.copy_out(buffer.data(), size);
    if (moved < size) [[unlikely]] {
        if (moved == 0) return Error(EFAULT);
        consume(moved);
        return moved;
    }
    drop_first();
    if (page_limit_ == 1) wake_writers();  // it was full
    return moved;
}

Result<size_t> Pipe::read(IoBuffer& to, bool nonblocking) {
    if (to.is_empty()) return size_t{0};
    if (count_ == 0 && writers != 0 && !nonblocking) {
        TRY(wait_until(changed, Deadline::never(), [&] { return count_ != 0 || writers == 0; }));
    }
    const bool is_simple = count_ == 1 && at(0).length <= to.size() && !lock.is_held();
    return is_simple ? read_only_page(to) : read_any(to, nonblocking);
}

Result<size_t> Pipe::read_any(IoBuffer& to, bool nonblocking) {
    SleepLockGuard guard(lock);
    if (count_ == 0) TRY(wait_for_data(nonblocking));
    const bool was_full = is_full();
    size_t done = 0;
    while (count_ != 0 && !to.is_empty()) {
        const Buffer& buffer = at(0);
        const size_t part = std::min<size_t>(buffer.length, to.size());
        const bool is_packet = buffer.is_packet;
        const size_t moved = to.copy_out(buffer.data(), part);
        done += moved;
        if (moved < part) [[unlikely]] {
            if (done == 0) return Error(EFAULT);
            if (moved != 0) consume(moved);
            break;
        }
        consume(moved);
        if (is_packet) break;
    }
    // As on Linux, so that epoll's edges are the same: every write is one, but only a read that
    // makes room.
    if (was_full) wake_writers();
    return done;
}

bool Pipe::can_append(size_t size, bool packet) const {
    if (count_ == 0 || packet) return false;
    const Buffer& last = at(count_ - 1);
    return !last.is_packet && !last.is_shared && last.start + last.length + size <= kPageSize;
}

bool Pipe::has_room(size_t size, bool packet) const {
    return !is_full() || can_append(size, packet);
}

Result<size_t> Pipe::append(IoBuffer& from, size_t size) {
    Buffer& last = at(count_ - 1);
    const size_t end = last.start + last.length;
    const size_t moved = from.copy_in(phys_to_virt<char>(last.frame) + end, size);
    last.length += static_cast<uint32_t>(moved);
    if (moved == 0) return Error(EFAULT);
    return moved;
}

Result<size_t> Pipe::push_page(IoBuffer& from, bool packet) {
    PhysAddr frame = spare_;
    spare_ = 0;
    if (frame == 0) frame = TRY(allocate_frame());
    const size_t size = std::min(from.size(), kPageSize);
    const size_t moved = from.copy_in(phys_to_virt<char>(frame), size);
    if (moved == 0) {
        put_frame(frame);
        return Error(EFAULT);
    }
    push({frame, 0, static_cast<uint32_t>(moved), packet, false});
    return moved;
}

// Moves what fits; an error only if nothing was moved. Precondition: something fits.
Result<size_t> Pipe::write_some(IoBuffer& from, bool packet) {
    size_t done = 0;
    // A short tail goes behind what the last page holds, if all of it fits there.
    const size_t tail = from.size() % kPageSize;
    if (tail != 0 && can_append(tail, packet)) {
        done = TRY(append(from, tail));
        if (done < tail) return done;
    }
    while (!from.is_empty() && !is_full()) {
        const size_t wanted = std::min(from.size(), kPageSize);
        Result<size_t> moved = push_page(from, packet);
        if (!moved.ok()) {
            if (done == 0) return moved.error();
            break;
        }
        done += *moved;
        if (*moved < wanted) break;
    }
    return done;
}

// The usual case of write().
Result<size_t> Pipe::write_to_empty(IoBuffer& from, bool packet) {
    SleepLockGuard guard(lock);
    const size_t size = from.size();
    const PhysAddr frame = std::exchange(spare_, 0);
    const size_t moved = from.copy_in(phys_to_virt<char>(frame), size);
    if (moved == 0) [[unlikely]] {
        spare_ = frame;
        return Error(EFAULT);
    }
    push({frame, 0, static_cast<uint32_t>(moved), packet, false});
    wake_readers();
    return moved;
}

Result<size_t> Pipe::write(IoBuffer& from, bool nonblocking, bool packet) {
    if (from.is_empty()) return size_t{0};
    const bool has_clean_page = count_ == 0 && spare_ != 0 && !lock.is_held();
    if (has_clean_page && readers != 0 && from.size() <= kPageSize) {
        return write_to_empty(from, packet);
    }
    return write_all(from, nonblocking, packet);
}

Result<size_t> Pipe::write_all(IoBuffer& from, bool nonblocking, bool packet) {
    SleepLockGuard guard(lock);
    size_t done = 0;
    while (!from.is_empty()) {
        if (readers == 0) {
            if (done != 0) break;
            send_kernel_signal_to_thread(*current_thread(), kSigPipe);
            return Error(EPIPE);
        }
        // Up to PIPE_BUF bytes go in one piece.
        const size_t needed = std::min(from.size(), kAtomicWrite);
        if (!has_room(needed, packet)) {
            if (nonblocking) {
                if (done != 0) break;
                return Error(EAGAIN);
            }
            Result<void> waited =
                wait_unlocked([&] { return readers == 0 || has_room(needed, packet); });
            if (waited.ok()) continue;
            if (done != 0) break;
            return waited.error();
        }
        Result<size_t> moved = write_some(from, packet);
        if (!moved.ok()) {
            if (done != 0) break;
            return moved.error();
        }
        done += *moved;
        wake_readers();
        if (!from.is_empty() && !is_full()) break;  // a bad address, or no memory
    }
    return done;
}

uint32_t Pipe::poll_events(bool for_reading, bool for_writing) const {
    uint32_t events = 0;
    if (for_reading) {
        if (count_ != 0) events |= POLLIN | POLLRDNORM;
        if (writers == 0 && writer_opens != 0) events |= POLLHUP;
    }
    if (for_writing) {
        if (!is_full()) events |= POLLOUT | POLLWRNORM;
        if (readers == 0) events |= POLLERR;
    }
    return events;
}

}  // namespace coracle
