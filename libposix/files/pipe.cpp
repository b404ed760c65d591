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
    size_t pages = std::bit_ceil(std::max<size_t>((size + kPageSize - 1) / kPageSize, 1));
    if (count_ > pages) return Error(EBUSY);
    std::unique_ptr<Buffer[]> ring(new (std::nothrow) Buffer[pages]);
    if (!ring) return Error(ENOMEM);
    for (size_t i = 0; i < count_; i++) ring[i] = at(i);
    delete[] ring_;
    ring_ = ring.release();
    ring_size_ = page_limit_ = pages;
    first_ = 0;
    changed.wake_all();
    return capacity();
}

size_t Pipe::bytes() const {
    size_t sum = 0;
    for (size_t i = 0; i < count_; i++) sum += at(i).length;
    return sum;
}

void Pipe::drop_first() {
    PhysAddr frame = at(0).frame;
    if (spare_ == 0) {
        spare_ = frame;
    } else {
        put_frame(frame);
    }
    first_ = (first_ + 1) % ring_size_;
    count_--;
}

Result<size_t> Pipe::read(IoBuffer& to, bool nonblocking) {
    if (to.is_empty()) return size_t{0};
    if (count_ == 0) {
        if (writers == 0) return size_t{0};
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_until(changed, Deadline::never(), [&] { return count_ != 0 || writers == 0; }));
    }
    const bool was_full = is_full();
    size_t done = 0;
    while (count_ != 0 && !to.is_empty()) {
        Buffer& buffer = at(0);
        size_t part = std::min<size_t>(buffer.length, to.size());
        size_t moved = to.copy_out(phys_to_virt<char>(buffer.frame) + buffer.start, part);
        done += moved;
        bool is_packet = buffer.is_packet;
        if (moved < part) {
            if (done == 0) return Error(EFAULT);
            break;
        }
        buffer.start += static_cast<uint32_t>(moved);
        buffer.length -= static_cast<uint32_t>(moved);
        // What a read leaves of a packet is lost.
        if (buffer.length == 0 || is_packet) drop_first();
        if (is_packet) break;
    }
    // As on Linux, so that epoll's edges are the same: every write is one, but only a read that
    // makes room.
    if (was_full) changed.wake_one(POLLOUT | POLLWRNORM);
    return done;
}

bool Pipe::has_room(size_t size, bool packet) const {
    if (!is_full()) return true;
    const Buffer& last = at(count_ - 1);
    return !packet && !last.is_packet && last.start + last.length + size <= kPageSize;
}

// Moves what fits; 0 only if nothing does.
Result<size_t> Pipe::write_some(IoBuffer& from, bool packet) {
    size_t done = 0;
    if (count_ != 0 && !packet) {
        // A short tail goes behind what the last page holds, if all of it fits there.
        Buffer& last = at(count_ - 1);
        size_t tail = from.size() % kPageSize;
        size_t end = last.start + last.length;
        if (!last.is_packet && tail != 0 && end + tail <= kPageSize) {
            size_t moved = from.copy_in(phys_to_virt<char>(last.frame) + end, tail);
            last.length += static_cast<uint32_t>(moved);
            if (moved < tail) {
                if (moved == 0) return Error(EFAULT);
                return moved;
            }
            done = moved;
        }
    }
    while (!from.is_empty() && !is_full()) {
        PhysAddr frame = spare_;
        spare_ = 0;
        if (frame == 0) {
            Result<PhysAddr> allocated = allocate_frame();
            if (!allocated.ok()) {
                if (done != 0) break;
                return allocated.error();
            }
            frame = *allocated;
        }
        size_t part = std::min(from.size(), kPageSize);
        size_t moved = from.copy_in(phys_to_virt<char>(frame), part);
        if (moved == 0) {
            put_frame(frame);
            if (done == 0) return Error(EFAULT);
            break;
        }
        at(count_) = Buffer{frame, 0, static_cast<uint32_t>(moved), packet};
        count_++;
        done += moved;
        if (moved < part) break;
    }
    return done;
}

Result<size_t> Pipe::write(IoBuffer& from, bool nonblocking, bool packet) {
    if (from.is_empty()) return size_t{0};
    size_t done = 0;
    while (!from.is_empty()) {
        if (readers == 0) {
            if (done != 0) break;
            send_kernel_signal_to_thread(*current_thread(), kSigPipe);
            return Error(EPIPE);
        }
        // Up to PIPE_BUF bytes go in one piece.
        size_t needed = std::min(from.size(), kAtomicWrite);
        if (!has_room(needed, packet)) {
            if (nonblocking) {
                if (done != 0) break;
                return Error(EAGAIN);
            }
            Result<void> waited = wait_until(changed, Deadline::never(), [&] {
                return readers == 0 || has_room(needed, packet);
            });
            if (!waited.ok()) {
                if (done != 0) break;
                return waited.error();
            }
            continue;
        }
        Result<size_t> moved = write_some(from, packet);
        if (!moved.ok()) {
            if (done != 0) break;
            return moved.error();
        }
        done += *moved;
        changed.wake_one(POLLIN | POLLRDNORM);
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
