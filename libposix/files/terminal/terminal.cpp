#include "libposix/files/terminal/terminal.h"

#include <poll.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/devices/host_channel.h"
#include "libposix/files/terminal/host_output.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

using channel::FrameType;

Terminal Terminal::instance_;

bool Terminal::controls(const Process& process) const {
    return present_ && process.session == session_;
}

void Terminal::start(const BootConfig& config) {
    present_ = true;
    output_ = &HostOutput::of(config.is_terminal[1] || !config.is_terminal[2] ? 1 : 2);
    window_ = config.window;
    if (config.cooked) discipline_.set_pass_through();
    host_channel::set_receiver(FrameType::kWindowSize, receive_window_size);
    if (!config.is_terminal[0]) {
        ended_ = true;  // the host has another standard input, so nobody types
        return;
    }
    host_channel::set_receiver(FrameType::kStdinData, receive_data);
    host_channel::set_receiver(FrameType::kStdinEnd, receive_end);
    // At once: Ctrl-C must come through when nobody reads.
    uint32_t credit = kPendingSize;
    host_channel::send(FrameType::kStdinCredit,
                       {reinterpret_cast<const char*>(&credit), sizeof(credit)});
}

void Terminal::receive_data(std::span<const char> piece, uint32_t) {
    Terminal& terminal = instance();
    size_t count = std::min(piece.size(), kPendingSize - terminal.pending_size_);
    memcpy(terminal.pending_ + terminal.pending_size_, piece.data(), count);
    terminal.pending_size_ += count;
    terminal.take_pending();
}

void Terminal::receive_end(std::span<const char>, uint32_t) {
    instance().ended_ = true;
    instance().changed.wake_all();
}

void Terminal::receive_window_size(std::span<const char> piece, uint32_t) {
    channel::WindowSize size;
    if (piece.size() != sizeof(size)) return;
    memcpy(&size, piece.data(), sizeof(size));
    instance().resize(size);
}

void Terminal::resize(const channel::WindowSize& size) {
    if (memcmp(&size, &window_, sizeof(size)) == 0) return;
    window_ = size;
    signal_foreground(kSigWinch);
}

void Terminal::take_pending() {
    if (pending_size_ == 0) return;
    size_t taken = discipline_.receive({pending_, pending_size_});
    pending_size_ -= taken;
    memmove(pending_, pending_ + taken, pending_size_);
    if (taken > 0) {
        // At once, however little: to the host program it is also the answer to Ctrl-C.
        auto credit = static_cast<uint32_t>(taken);
        host_channel::send(FrameType::kStdinCredit,
                           {reinterpret_cast<const char*>(&credit), sizeof(credit)});
    }
    changed.wake_all();
}

void Terminal::echo(std::span<const char> bytes) {
    output_->write_now(bytes);
}

void Terminal::signal_foreground(int signo) {
    Process* process = current_thread()->process;
    if (process && process->process_group == foreground_group_) {
        send_kernel_signal(*process, signo);
    }
}

Result<void> Terminal::check_foreground(int signo) {
    Process& process = *current_process();
    if (!controls(process) || process.process_group == foreground_group_) return {};
    bool ignored = (*process.signal_actions)[signo].handler == kSigIgn ||
                   current_thread()->state->signals.blocked & signal_bit(signo);
    if (ignored) {
        if (signo == kSigTtou) return {};
        return Error(EIO);
    }
    send_kernel_signal(process, signo);
    return Error(kErestartsys);
}

uint32_t Terminal::poll_events() const {
    const termios2& settings = discipline_.settings();
    size_t minimum = settings.c_cc[VTIME] == 0 && settings.c_cc[VMIN] > 0 ? settings.c_cc[VMIN] : 1;
    uint32_t events = 0;
    if (discipline_.has_input(minimum) || ended_) events |= POLLIN | POLLRDNORM;
    if (!discipline_.is_stopped() && output_->credit() > 0) events |= POLLOUT | POLLWRNORM;
    return events;
}

// At most one line in canonical mode; what there is in the other.
Result<size_t> Terminal::take_input(IoBuffer& to) {
    size_t done = 0;
    while (!to.is_empty()) {
        char bytes[512];
        auto piece = discipline_.read(bytes, std::min(to.size(), sizeof(bytes)));
        size_t copied = to.copy_out(bytes, piece.count);
        done += copied;
        if (copied < piece.count) return done > 0 ? Result<size_t>(done) : Error(EFAULT);
        if (piece.complete) break;
    }
    take_pending();
    return done;
}

// Non-canonical mode: VMIN and VTIME (man 3 termios).
Result<size_t> Terminal::read_bytes(IoBuffer& to, bool nonblocking) {
    const termios2& settings = discipline_.settings();
    const size_t minimum = std::max<size_t>(settings.c_cc[VMIN], 1);
    const uint64_t interval_ns = settings.c_cc[VTIME] * uint64_t{100'000'000};
    const bool times_bytes = settings.c_cc[VMIN] > 0;  // else the read as a whole
    Deadline deadline = Deadline::never();
    if (!times_bytes) deadline = Deadline::after(interval_ns);
    size_t done = 0;
    for (;;) {
        Result<size_t> taken = take_input(to);
        if (!taken) return done > 0 ? Result<size_t>(done) : taken.error();
        done += *taken;
        if (done >= minimum || to.is_empty() || ended_) return done;
        if (!times_bytes && interval_ns == 0) return done;
        if (nonblocking) return done > 0 ? Result<size_t>(done) : Error(EAGAIN);
        if (times_bytes && *taken > 0 && interval_ns > 0) deadline = Deadline::after(interval_ns);
        auto waited =
            wait_until(changed, deadline, [&] { return discipline_.has_input() || ended_; });
        if (waited.error_code() == ETIMEDOUT) return done;
        if (!waited) return done > 0 ? Result<size_t>(done) : waited.error();
    }
}

Result<size_t> Terminal::read(IoBuffer& to, bool nonblocking) {
    TRY(check_foreground(kSigTtin));
    if (to.is_empty()) return size_t{0};
    if (!discipline_.is_canonical()) return read_bytes(to, nonblocking);
    if (!discipline_.has_input()) {
        if (ended_) return size_t{0};
        if (nonblocking) return Error(EAGAIN);
        TRY(wait_until(changed, Deadline::never(),
                       [&] { return discipline_.has_input() || ended_; }));
    }
    return take_input(to);
}

Result<size_t> Terminal::write(IoBuffer& from, bool nonblocking) {
    if (discipline_.settings().c_lflag & TOSTOP) TRY(check_foreground(kSigTtou));
    size_t done = 0;
    auto result = [&](Error error) { return done > 0 ? Result<size_t>(done) : error; };
    while (!from.is_empty()) {
        char bytes[512], mapped[2048];
        if (discipline_.is_stopped()) {
            if (nonblocking) return result(Error(EAGAIN));
            auto waited =
                wait_until(changed, Deadline::never(), [&] { return !discipline_.is_stopped(); });
            if (!waited) return result(waited.error());
        }
        // All of a piece can go once it has been mapped: a tab may become 8 spaces.
        auto ready = output_->wait_for_credit(8 * sizeof(bytes), nonblocking);
        if (!ready) return result(ready.error_code() == EPIPE ? Error(EIO) : ready.error());
        size_t wanted = std::min(from.size(), sizeof(bytes));
        size_t copied = from.copy_in(bytes, wanted);
        for (std::span<const char> rest(bytes, copied); !rest.empty();) {
            auto step = discipline_.map_output(rest, mapped);
            output_->write_now({mapped, step.produced});
            rest = rest.subspan(step.taken);
        }
        done += copied;
        if (copied < wanted) return result(Error(EFAULT));
    }
    return done;
}

}  // namespace coracle
