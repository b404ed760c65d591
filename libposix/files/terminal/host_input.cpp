#include "libposix/files/terminal/host_input.h"

#include <algorithm>
#include <cstring>

#include "kernel-min/devices/host_channel.h"
#include "kernel-min/memory/frames.h"

namespace coracle {

using channel::FrameType;

HostInput HostInput::instance_;

void HostInput::start() {
    host_channel::set_receiver(FrameType::kStdinData, receive_data);
    host_channel::set_receiver(FrameType::kStdinEnd, receive_end);
}

void HostInput::receive_data(std::span<const char> piece, uint32_t) {
    HostInput& input = instance();
    // More than the credit can only come from the serial stand-in, which knows none.
    size_t room = input.buffer_ ? kSize - input.available() : 0;
    piece = piece.first(std::min(piece.size(), room));
    size_t start = input.written_ % kSize;
    size_t first = std::min(piece.size(), kSize - start);
    memcpy(input.buffer_ + start, piece.data(), first);
    memcpy(input.buffer_, piece.data() + first, piece.size() - first);
    input.written_ += piece.size();
    input.changed.wake_all();
}

void HostInput::receive_end(std::span<const char>, uint32_t) {
    instance().ended_ = true;
    instance().changed.wake_all();
}

Result<void> HostInput::show_interest() {
    if (buffer_) [[likely]]
        return {};
    buffer_ = phys_to_virt<char>(TRY(allocate_frames(kOrder)));
    give_credit();
    return {};
}

void HostInput::give_credit() {
    uint32_t credit = read_ + kSize - granted_;
    granted_ += credit;
    host_channel::send(FrameType::kStdinCredit,
                       {reinterpret_cast<const char*>(&credit), sizeof(credit)});
}

Result<size_t> HostInput::read(IoBuffer& to, bool nonblocking) {
    TRY(show_interest());
    if (to.is_empty()) return size_t{0};
    if (available() == 0) {
        if (ended_) return size_t{0};
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_until(changed, Deadline::never(), [&] { return available() > 0 || ended_; }));
    }
    size_t done = 0;
    while (available() > 0 && !to.is_empty()) {
        size_t start = read_ % kSize;
        size_t length = std::min({available(), kSize - start, to.size()});
        size_t copied = to.copy_out(buffer_ + start, length);
        read_ += copied;
        done += copied;
        if (copied < length) {
            if (done == 0) return Error(EFAULT);
            break;
        }
    }
    // Seldom enough to cost little, early enough that the host need not stop.
    if (!ended_ && read_ + kSize - granted_ >= kSize / 2) give_credit();
    return done;
}

}  // namespace coracle
