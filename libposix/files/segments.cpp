#include "libposix/files/segments.h"

#include <algorithm>
#include <new>

namespace coracle {

Result<void> Segments::read(UserIn<iovec> from, size_t count) {
    if (count > kMaxSegments) return Error(EINVAL);
    if (count > std::size(inline_)) {
        long_.reset(new (std::nothrow) IoBuffer::Segment[count]);
        if (!long_) return Error(ENOMEM);
        segments_ = long_.get();
    }
    if (!copy_from_user(segments_, from.address(), count * sizeof(iovec))) return Error(EFAULT);
    for (size_t i = 0; i < count; i++) {
        IoBuffer::Segment& segment = segments_[i];
        if (static_cast<int64_t>(segment.length) < 0) return Error(EINVAL);
        if (!is_user_range(segment.address, segment.length)) return Error(EFAULT);
        segment.length = std::min(segment.length, kMaxTransfer - size_);
        size_ += segment.length;
    }
    return {};
}

}  // namespace coracle
