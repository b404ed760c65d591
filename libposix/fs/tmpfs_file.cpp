#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <cstring>

#include "libposix/fs/tmpfs.h"

namespace coracle {
namespace {

constexpr uint64_t kMaxSize = INT64_MAX;

uint64_t pages_for(uint64_t size) { return (size + kPageSize - 1) / kPageSize; }

char* frame_bytes(PhysAddr frame) { return phys_to_virt<char>(frame); }

// Keeps a frame while a copy sleeps: another thread may drop it from the file.
class FrameReference {
  public:
    explicit FrameReference(PhysAddr frame) : frame_(frame) { get_frame(frame); }
    FrameReference(const FrameReference&) = delete;
    FrameReference& operator=(const FrameReference&) = delete;
    ~FrameReference() { put_frame(frame_); }

  private:
    PhysAddr frame_;
};

}  // namespace

TmpfsFile::TmpfsFile(TmpfsFileSystem& owner, uint64_t origin_nid, uint64_t origin_size)
    : TmpfsInode(owner, origin_nid), size_(origin_size), origin_pages_(pages_for(origin_size)) {}

TmpfsFile::~TmpfsFile() { drop_pages(0, PageTree::kMaxPages); }

bool TmpfsFile::is_from_origin(uint64_t index) const {
    return index < origin_pages_ && pages_.get(index) == 0;
}

uint64_t TmpfsFile::blocks() const {
    uint64_t pages = used_pages_ + origin_pages_;
    for (uint64_t index = 0; index < origin_pages_ && pages_.next(index) != 0; index++) {
        if (index < origin_pages_) pages--;  // counted twice, or punched
    }
    return pages * (kPageSize / 512);
}

Result<size_t> TmpfsFile::read_page(IoBuffer& to, uint64_t index, size_t in_page, size_t length) {
    if (uint64_t slot = pages_.get(index); slot > kHole) {
        FrameReference keep(slot);
        return to.copy_out(frame_bytes(slot) + in_page, length);
    }
    size_t done = 0;
    if (is_from_origin(index)) {
        Bytes bytes = TRY(tmpfs().origin()->page(TRY(origin_node()), index));
        if (in_page < bytes.size()) {
            size_t part = std::min(length, bytes.size() - in_page);
            done = to.copy_out(bytes.data() + in_page, part);
            if (done < part) return done;
        }
    }
    return done + to.fill_zero(length - done);
}

Result<size_t> TmpfsFile::read(IoBuffer& to, uint64_t offset) {
    size_t done = 0;
    while (!to.is_empty() && offset < size_) {
        size_t in_page = offset % kPageSize;
        size_t part = std::min({to.size(), kPageSize - in_page, size_ - offset});
        Result<size_t> moved = read_page(to, offset / kPageSize, in_page, part);
        if (!moved.ok()) {
            if (done != 0) break;
            return moved.error();
        }
        done += *moved;
        offset += *moved;
        if (*moved < part) {
            if (done == 0) return Error(EFAULT);
            break;
        }
    }
    return done;
}

Result<PhysAddr> TmpfsFile::own_page(uint64_t index) {
    uint64_t slot = pages_.get(index);
    if (slot > kHole) return slot;
    Bytes bytes;
    if (is_from_origin(index)) bytes = TRY(tmpfs().origin()->page(TRY(origin_node()), index));
    PhysAddr frame = TRY(tmpfs().allocate_page());
    if (!bytes.empty()) memcpy(frame_bytes(frame), bytes.data(), bytes.size());
    memset(frame_bytes(frame) + bytes.size(), 0, kPageSize - bytes.size());
    if (!pages_.set(index, frame).ok()) {
        tmpfs().free_page(frame);
        return Error(ENOSPC);
    }
    used_pages_++;
    return frame;
}

Result<size_t> TmpfsFile::write_page(IoBuffer& from, uint64_t index, size_t in_page,
                                     size_t length) {
    if (length == kPageSize && pages_.get(index) <= kHole) {
        // A whole new page need not be cleared first. The copy may sleep, so the page is shown
        // only when it is filled, unless someone else has put one there by then.
        PhysAddr frame = TRY(tmpfs().allocate_page());
        size_t moved = from.copy_in(frame_bytes(frame), kPageSize);
        if (moved == kPageSize && pages_.get(index) <= kHole && pages_.set(index, frame).ok()) {
            used_pages_++;
            return moved;
        }
        Result<PhysAddr> page = own_page(index);
        if (page.ok()) memcpy(frame_bytes(*page), frame_bytes(frame), moved);
        tmpfs().free_page(frame);
        if (!page.ok()) return page.error();
        return moved;
    }
    PhysAddr page = TRY(own_page(index));
    FrameReference keep(page);
    return from.copy_in(frame_bytes(page) + in_page, length);
}

Result<size_t> TmpfsFile::write(IoBuffer& from, uint64_t offset) {
    if (seals_ & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return Error(EPERM);
    if (from.is_empty()) return size_t{0};
    if (offset >= kMaxSize) return Error(EFBIG);
    if ((seals_ & F_SEAL_GROW) && offset + from.size() > size_) return Error(EPERM);
    size_t done = 0;
    while (!from.is_empty() && offset < kMaxSize) {
        size_t in_page = offset % kPageSize;
        size_t part = std::min({from.size(), kPageSize - in_page, kMaxSize - offset});
        Result<size_t> moved = write_page(from, offset / kPageSize, in_page, part);
        if (!moved.ok()) {
            if (done != 0) break;
            return moved.error();
        }
        done += *moved;
        offset += *moved;
        size_ = std::max(size_, offset);
        if (*moved < part) {
            if (done == 0) return Error(EFAULT);
            break;
        }
    }
    return done;
}

Result<PhysAddr> TmpfsFile::page(uint64_t index, bool for_write) {
    if (index >= pages_for(size_)) return Error(ENXIO);
    if (!for_write) {
        if (PhysAddr frame = cached_page(index)) return frame;
    }
    PhysAddr frame = TRY(own_page(index));
    get_frame(frame);
    return frame;
}

PhysAddr TmpfsFile::cached_page(uint64_t index) {
    if (index >= pages_for(size_)) return 0;
    PhysAddr frame = 0;
    if (is_from_origin(index)) {
        Result<ErofsImage::Node> node = origin_node();
        if (!node.ok() || !ErofsImage::is_whole_block(*node, index)) return 0;
        Result<Bytes> bytes = tmpfs().origin()->page(*node, index);
        if (!bytes.ok() || bytes->empty()) return 0;
        frame = tmpfs().origin_frame(bytes->data());
    } else if (uint64_t slot = pages_.get(index); slot > kHole) {
        frame = slot;
    }
    if (frame != 0) get_frame(frame);
    return frame;
}

void TmpfsFile::drop_pages(uint64_t first, uint64_t end) {
    pages_.clear(first, end, [this](uint64_t slot) {
        if (slot == kHole) return;
        tmpfs().free_page(slot);
        used_pages_--;
    });
}

Result<void> TmpfsFile::zero_part(uint64_t index, size_t start, size_t end) {
    if (start == end || !has_data(index)) return {};
    PhysAddr frame = TRY(own_page(index));
    memset(frame_bytes(frame) + start, 0, end - start);
    return {};
}

Result<void> TmpfsFile::truncate(uint64_t size) {
    if (size > kMaxSize) return Error(EFBIG);
    if (size < size_) {
        if (seals_ & F_SEAL_SHRINK) return Error(EPERM);
        if (size % kPageSize != 0) TRY(zero_part(size / kPageSize, size % kPageSize, kPageSize));
        drop_pages(pages_for(size), PageTree::kMaxPages);
        origin_pages_ = std::min(origin_pages_, pages_for(size));
    } else if (size > size_ && (seals_ & F_SEAL_GROW)) {
        return Error(EPERM);
    }
    size_ = size;
    return {};
}

Result<void> TmpfsFile::punch_hole(uint64_t offset, uint64_t length) {
    uint64_t end = std::min(offset + length, kMaxSize);
    uint64_t first = pages_for(offset), last = end / kPageSize;
    if (first > last) return zero_part(last, offset % kPageSize, end % kPageSize);
    if (offset % kPageSize != 0) TRY(zero_part(first - 1, offset % kPageSize, kPageSize));
    TRY(zero_part(last, 0, end % kPageSize));
    drop_pages(first, last);
    for (uint64_t index = first; index < std::min(last, origin_pages_); index++) {
        TRY(pages_.set(index, kHole));
    }
    return {};
}

Result<void> TmpfsFile::preallocate(uint64_t first, uint64_t end) {
    if (end - first > tmpfs().max_pages()) return Error(ENOSPC);
    uint64_t missing = 0;
    for (uint64_t index = first; index < end; index++) missing += !has_data(index);
    TRY(tmpfs().check_room(missing));
    for (uint64_t index = first; index < end; index++) {
        if (!has_data(index)) TRY(own_page(index));
    }
    return {};
}

Result<void> TmpfsFile::allocate(int mode, uint64_t offset, uint64_t length) {
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)) return Error(EOPNOTSUPP);
    if (mode & FALLOC_FL_PUNCH_HOLE) {
        if (seals_ & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) return Error(EPERM);
        return punch_hole(offset, length);
    }
    uint64_t end = offset + length;
    if (!(mode & FALLOC_FL_KEEP_SIZE) && end > size_ && (seals_ & F_SEAL_GROW)) {
        return Error(EPERM);
    }
    TRY(preallocate(offset / kPageSize, pages_for(end)));
    if (!(mode & FALLOC_FL_KEEP_SIZE)) size_ = std::max(size_, end);
    return {};
}

Result<uint64_t> TmpfsFile::seek_data(uint64_t offset, bool hole) {
    if (offset >= size_) return Error(ENXIO);
    uint64_t index = offset / kPageSize;
    uint64_t end = pages_for(size_);
    while (index < end && has_data(index) == hole) {
        uint64_t next = index + 1;
        // Over a long hole in one step.
        if (!hole && next >= origin_pages_ && pages_.next(next) == 0) next = end;
        index = next;
    }
    if (index >= end) {
        if (hole) return size_;
        return Error(ENXIO);
    }
    return std::max(offset, index * kPageSize);
}

Result<uint32_t> TmpfsFile::seals() const {
    if (!has_seals_) return Error(EINVAL);
    return seals_;
}

Result<void> TmpfsFile::add_seals(uint32_t seals) {
    constexpr uint32_t kAll =
        F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
    if (!has_seals_ || (seals & ~kAll)) return Error(EINVAL);
    if (seals_ & F_SEAL_SEAL) return Error(EPERM);
    seals_ |= seals;
    return {};
}

}  // namespace coracle
