#include "libposix/files/pipe_transfer.h"

#include <algorithm>
#include <cstring>

#include "libposix/files/inode_file.h"

namespace coracle {
namespace {

// Both locks, in an order that all agree on.
class BothLocks {
  public:
    BothLocks(Pipe& a, Pipe& b) : first_(std::min(&a, &b)), second_(std::max(&a, &b)) {
        first_->lock.lock();
        second_->lock.lock();
    }
    ~BothLocks() {
        second_->lock.unlock();
        first_->lock.unlock();
    }
    BothLocks(const BothLocks&) = delete;
    BothLocks& operator=(const BothLocks&) = delete;

  private:
    Pipe *first_, *second_;
};

// Shares the pages of a file in the page cache. 0 at its end.
Result<size_t> push_cached_page(Inode& inode, uint64_t position, Pipe& to, size_t length) {
    const uint64_t size = inode.size();
    if (position >= size) return size_t{0};
    const uint64_t in_page = position % kPageSize;
    const size_t part = std::min<uint64_t>({length, kPageSize - in_page, size - position});
    const PhysAddr frame = TRY(inode.page(position / kPageSize, false));
    to.push({frame, static_cast<uint32_t>(in_page), static_cast<uint32_t>(part), false, true});
    return part;
}

// Reads what there is into a new page and puts that into the pipe. The source may sleep, so the
// pipe is not locked meanwhile; should it fill up, the bytes wait for room, and are lost with it.
Result<size_t> push_read_page(File& from, uint64_t& position, Pipe& to, size_t length) {
    const PhysAddr frame = TRY(allocate_frame());
    IoBuffer buffer = IoBuffer::kernel(phys_to_virt<char>(frame), length);
    Result<size_t> got = from.read(buffer, position);
    if (got.ok() && *got != 0) {
        SleepLockGuard guard(to.lock);
        Result<void> room = to.wait_for_room(false);
        if (room.ok()) {
            to.push({frame, 0, static_cast<uint32_t>(*got), false, false});
            to.wake_readers();
            return got;
        }
        put_frame(frame);
        return room.error();
    }
    put_frame(frame);
    return got;
}

Result<size_t> share_pages(File& from, uint64_t& position, Pipe& to, size_t length) {
    SleepLockGuard guard(to.lock);
    size_t done = 0;
    while (done < length && !to.is_full()) {
        Result<size_t> pushed = push_cached_page(from.inode(), position, to, length - done);
        if (!pushed.ok() && done == 0) return pushed.error();
        if (!pushed.ok() || *pushed == 0) break;
        position += *pushed;
        done += *pushed;
    }
    if (done != 0) {
        touch_access_time(from);
        to.wake_readers();
    }
    return done;
}

// Waits until there is something to move and room for it; both locks are given up meanwhile.
Result<void> wait_for_both(Pipe& from, Pipe& to, bool nonblocking) {
    for (;;) {
        {
            SleepLockGuard guard(from.lock);
            TRY(from.wait_for_data(nonblocking));
            if (from.is_empty()) return {};
        }
        SleepLockGuard guard(to.lock);
        TRY(to.wait_for_room(nonblocking));
        if (!from.is_empty()) return {};
    }
}

Pipe::Buffer split_front(Pipe& from, size_t length) {
    Pipe::Buffer& first = from.at(0);
    if (first.length <= length) return from.take_first();
    get_frame(first.frame);
    first.is_shared = true;
    Pipe::Buffer part = first;
    part.length = static_cast<uint32_t>(length);
    part.is_packet = false;
    from.consume(length);
    return part;
}

}  // namespace

Result<size_t> move_file_to_pipe(File& from, uint64_t& position, Pipe& to, size_t length,
                                 bool nonblocking) {
    if (from.inode().is_directory()) return Error(EINVAL);
    RefPtr<Pipe> keep(&to);
    {
        SleepLockGuard guard(to.lock);
        TRY(to.wait_for_room(nonblocking));
    }
    if (from.inode().is_regular() && from.inode().is_mappable()) {
        return share_pages(from, position, to, length);
    }
    size_t done = 0;
    while (done < length && !to.is_full()) {
        // Behind the first page, only what is there already.
        if (done != 0 && !(from.poll_events() & POLLIN)) break;
        const size_t wanted = std::min(length - done, kPageSize);
        Result<size_t> got = push_read_page(from, position, to, wanted);
        if (!got.ok() && done == 0) return got.error();
        if (!got.ok() || *got == 0) break;
        done += *got;
        if (*got < wanted) break;
    }
    return done;
}

Result<size_t> move_pipe_to_file(Pipe& from, File& to, uint64_t& position, size_t length,
                                 bool nonblocking) {
    RefPtr<Pipe> keep(&from);
    SleepLockGuard guard(from.lock);
    size_t done = 0;
    while (done < length) {
        if (from.is_empty()) {
            if (done != 0) break;
            TRY(from.wait_for_data(nonblocking));
            if (from.is_empty()) break;
        }
        Pipe::Buffer& first = from.at(0);
        const size_t part = std::min<size_t>(first.length, length - done);
        IoBuffer buffer = IoBuffer::kernel(first.data(), part);
        if (to.socket()) {
            // It may keep the page, which the pipe then must not use again.
            first.is_shared = true;
            buffer.flags |= IoBuffer::kStablePages;
        }
        Result<size_t> put = to.write(buffer, position);
        if (!put.ok() && done == 0) return put.error();
        if (!put.ok()) break;
        from.consume(*put);
        from.wake_writers();
        done += *put;
        if (*put < part) break;
    }
    return done;
}

Result<size_t> move_pipe_to_pipe(Pipe& from, Pipe& to, size_t length, bool nonblocking) {
    RefPtr<Pipe> keep_from(&from), keep_to(&to);
    TRY(wait_for_both(from, to, nonblocking));
    BothLocks locks(from, to);
    size_t done = 0;
    while (done < length && !from.is_empty() && !to.is_full()) {
        Pipe::Buffer buffer = split_front(from, length - done);
        to.push(buffer);
        done += buffer.length;
    }
    if (done != 0) {
        from.wake_writers();
        to.wake_readers();
    }
    return done;
}

Result<size_t> copy_pipe_to_pipe(Pipe& from, Pipe& to, size_t length, bool nonblocking) {
    RefPtr<Pipe> keep_from(&from), keep_to(&to);
    TRY(wait_for_both(from, to, nonblocking));
    BothLocks locks(from, to);
    size_t done = 0;
    for (size_t i = 0; done < length && i < from.count() && !to.is_full(); i++) {
        Pipe::Buffer& source = from.at(i);
        get_frame(source.frame);
        source.is_shared = true;
        Pipe::Buffer copy = source;
        if (copy.length > length - done) {
            copy.length = static_cast<uint32_t>(length - done);
            copy.is_packet = false;
        }
        to.push(copy);
        done += copy.length;
    }
    if (done != 0) to.wake_readers();
    return done;
}

}  // namespace coracle
