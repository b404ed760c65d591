#include "libposix/files/terminal/host_output.h"

#include <algorithm>
#include <cstring>

#include "kernel-min/devices/host_channel.h"
#include "kernel-min/lib/panic.h"

namespace coracle {

using channel::FrameType;

HostOutput HostOutput::streams_[2] = {HostOutput(FrameType::kStdoutData),
                                      HostOutput(FrameType::kStderrData)};

HostOutput& HostOutput::of(int descriptor) {
    ASSERT(descriptor == 1 || descriptor == 2);
    return streams_[descriptor - 1];
}

void HostOutput::start() {
    host_channel::set_receiver(FrameType::kOutputCredit, receive_credit);
    host_channel::set_receiver(FrameType::kStreamClosed, receive_closed);
}

void HostOutput::receive_credit(std::span<const char> piece, uint32_t) {
    channel::OutputCredit credit;
    if (piece.size() != sizeof(credit)) return;
    memcpy(&credit, piece.data(), sizeof(credit));
    if (credit.descriptor != 1 && credit.descriptor != 2) return;
    HostOutput& stream = of(static_cast<int>(credit.descriptor));
    stream.credit_ += credit.bytes;
    stream.changed.wake_all();
}

void HostOutput::receive_closed(std::span<const char> piece, uint32_t) {
    uint32_t descriptor;
    if (piece.size() != sizeof(descriptor)) return;
    memcpy(&descriptor, piece.data(), sizeof(descriptor));
    if (descriptor != 1 && descriptor != 2) return;
    HostOutput& stream = of(static_cast<int>(descriptor));
    stream.closed_ = true;
    stream.changed.wake_all();
}

// The serial stand-in takes everything at once.
void HostOutput::use_credit(size_t bytes) {
    if (host_channel::is_connected()) credit_ -= bytes;
}

Result<void> HostOutput::wait_for_credit(size_t bytes, bool nonblocking) {
    if (credit_ >= bytes && !closed_) [[likely]]
        return {};
    if (!closed_ && nonblocking) return Error(EAGAIN);
    TRY(wait_until(changed, Deadline::never(), [&] { return closed_ || credit_ >= bytes; }));
    if (closed_) return Error(EPIPE);
    return {};
}

Result<size_t> HostOutput::write(IoBuffer& from, bool nonblocking) {
    constexpr size_t kAtomicWrite = 4096;  // PIPE_BUF
    size_t done = 0;
    while (!from.is_empty()) {
        // A short write of a pipe goes out whole or not at all.
        size_t needed = done == 0 && from.size() <= kAtomicWrite ? from.size() : 1;
        Result<void> ready = wait_for_credit(needed, nonblocking);
        if (!ready) return done > 0 ? Result<size_t>(done) : ready.error();
        size_t length = std::min({from.size(), credit_, host_channel::kMaxSend});
        use_credit(length);
        size_t sent = host_channel::send_filled(
            type_, length,
            [](void* context, char* to, size_t count) {
                return static_cast<IoBuffer*>(context)->copy_in(to, count);
            },
            &from);
        done += sent;
        if (host_channel::is_connected()) {
            credit_ += length - sent;
            if (sent < length) return done > 0 ? Result<size_t>(done) : Error(EFAULT);
        } else if (sent == 0) {
            return done > 0 ? Result<size_t>(done) : Error(EFAULT);
        }
    }
    return done;
}

void HostOutput::write_now(std::span<const char> bytes) {
    if (closed_) return;
    bytes = bytes.first(std::min({bytes.size(), credit_, host_channel::kMaxSend}));
    if (bytes.empty()) return;
    use_credit(bytes.size());
    host_channel::send(type_, bytes);
}

}  // namespace coracle
