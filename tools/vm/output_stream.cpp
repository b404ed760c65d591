#include "tools/vm/output_stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace coracle {
namespace {

constexpr size_t kCompactAt = 256 * 1024;  // Written bytes at the front of the buffer.

}  // namespace

OutputStream::OutputStream(int fd) : fd_(fd), kind_(Kind::kSmallWrites) {
    struct stat info;
    if (fstat(fd, &info) != 0) {
        broken_ = true;  // The descriptor is closed: the program's writes would fail as well.
    } else if (S_ISREG(info.st_mode)) {
        kind_ = Kind::kFile;
    } else if (S_ISSOCK(info.st_mode)) {
        kind_ = Kind::kSocket;
    } else if (S_ISFIFO(info.st_mode) || isatty(fd)) {
        std::string path = fmt::format("/proc/self/fd/{}", fd);
        own_ = UniqueFd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
        if (own_.valid()) kind_ = Kind::kNonBlocking;
    }
}

void OutputStream::queue(std::string_view bytes) {
    if (broken_) return;
    if (offset_ >= kCompactAt) {
        buffer_.erase(0, offset_);
        offset_ = 0;
    }
    buffer_.append(bytes);
}

size_t OutputStream::write_some() {
    size_t total = 0;
    while (wants_write()) {
        size_t size = pending();
        const char* data = buffer_.data() + offset_;
        ssize_t written = -1;
        switch (kind_) {
            case Kind::kFile:
                written = write(fd_, data, size);
                break;
            case Kind::kNonBlocking:
                written = write(own_.get(), data, size);
                break;
            case Kind::kSocket:
                written = send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
                break;
            case Kind::kSmallWrites: {
                // A pipe that polls writable has room for PIPE_BUF bytes.
                pollfd ready{fd_, POLLOUT, 0};
                if (poll(&ready, 1, 0) <= 0) return total;
                written = write(fd_, data, std::min<size_t>(size, PIPE_BUF));
                break;
            }
        }
        if (written < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN || errno == EWOULDBLOCK) break;
            mark_broken();
            break;
        }
        offset_ += static_cast<size_t>(written);
        total += static_cast<size_t>(written);
        if (offset_ == buffer_.size()) {
            buffer_.clear();
            offset_ = 0;
        }
    }
    return total;
}

void OutputStream::mark_broken() {
    broken_ = true;
    buffer_.clear();
    offset_ = 0;
}

}  // namespace coracle
