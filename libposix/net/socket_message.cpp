#include "libposix/net/socket_message.h"

#include <linux/net_tstamp.h>

#include <algorithm>
#include <new>

#include "kernel-min/lib/user_copy.h"
#include "libposix/time/clock.h"

namespace coracle {

Result<void> ControlMessages::read(uint64_t address, size_t length) {
    if (length == 0) return {};
    if (length > kMaxBytes) return Error(ENOBUFS);
    char* to = inline_;
    if (length > sizeof(inline_)) {
        long_.reset(new (std::nothrow) char[length]);
        if (!long_) return Error(ENOMEM);
        to = long_.get();
    }
    if (!copy_from_user(to, address, length)) return Error(EFAULT);
    bytes_ = {to, length};
    return check();
}

Result<void> ControlMessages::check() const {
    for (size_t at = 0; at + sizeof(cmsghdr) <= bytes_.size();) {
        const auto* head = reinterpret_cast<const cmsghdr*>(bytes_.data() + at);
        if (head->cmsg_len < CMSG_LEN(0) || head->cmsg_len > bytes_.size() - at) {
            return Error(EINVAL);
        }
        at += CMSG_ALIGN(head->cmsg_len);
    }
    return {};
}

void ControlWriter::advance(size_t size) {
    size_t step = std::min(CMSG_SPACE(size), left_);
    address_ += step;
    left_ -= step;
}

Result<void> ControlWriter::finish(int level, int type, size_t size) {
    cmsghdr head = {};
    head.cmsg_len = CMSG_LEN(size);
    head.cmsg_level = level;
    head.cmsg_type = type;
    if (!copy_to_user(address_, &head, sizeof(head))) return Error(EFAULT);
    advance(size);
    return {};
}

Result<void> ControlWriter::put(int level, int type, const void* data, size_t size) {
    if (!is_wanted() || left_ < CMSG_LEN(0)) {
        truncated_ = true;
        return {};
    }
    size_t fits = std::min(size, left_ - CMSG_LEN(0));
    if (fits < size) truncated_ = true;
    if (!copy_to_user(address_ + CMSG_LEN(0), data, fits)) return Error(EFAULT);
    return finish(level, type, fits);
}

void ReceiveMessage::put_timestamp(const SocketOptions& options, uint64_t time_ns) {
    constexpr int kTimestampNsNew = 64;  // newer than the C library's headers
    constexpr int kTimestampingNew = 65;
    if (!options.timestamp || !time_ns) return;
    if (options.timestamp == SO_TIMESTAMPNS || options.timestamp == kTimestampNsNew) {
        timespec time = to_timespec(time_ns);
        put_control(SOL_SOCKET, options.timestamp, &time, sizeof(time));
    } else if (options.timestamp != SO_TIMESTAMPING) {
        timeval time = to_timeval(time_ns);
        put_control(SOL_SOCKET, options.timestamp, &time, sizeof(time));
    }
    if (options.timestamping & SOF_TIMESTAMPING_SOFTWARE) {
        // struct scm_timestamping: the second is no more, the third is a device's.
        const timespec times[3] = {to_timespec(time_ns), {}, {}};
        const bool is_new = options.is_on(SO_TIMESTAMPING);
        put_control(SOL_SOCKET, is_new ? kTimestampingNew : SO_TIMESTAMPING, times, sizeof(times));
    }
}

}  // namespace coracle
