// The memory that a struct iovec array names: copied from the application and checked.
#pragma once

#include <sys/uio.h>

#include <memory>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/io_buffer.h"

namespace coracle {

constexpr size_t kMaxTransfer = 0x7ffff000;  // MAX_RW_COUNT: of one call
constexpr size_t kMaxSegments = 1024;        // UIO_MAXIOV

class Segments {
  public:
    // EINVAL: too many, or a negative length; EFAULT, ENOMEM.
    Result<void> read(UserIn<iovec> from, size_t count);
    // Valid as long as this object.
    IoBuffer buffer() const { return IoBuffer(segments_, size_); }

  private:
    IoBuffer::Segment inline_[8];
    std::unique_ptr<IoBuffer::Segment[]> long_;
    IoBuffer::Segment* segments_ = inline_;
    size_t size_ = 0;
};
static_assert(sizeof(IoBuffer::Segment) == sizeof(iovec));

}  // namespace coracle
