#include "tools/vm/relay.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "tools/support/error.h"
#include "tools/support/say.h"

namespace coracle {

using channel::FrameType;

namespace {

constexpr int kRelayedSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH};

// A kernel that keeps to its output credit never comes near this.
constexpr size_t kOutputLimit = 8 * 1024 * 1024;
constexpr std::chrono::milliseconds kPowerOffLimit{1000};
constexpr std::chrono::seconds kInterruptWindow{2};
constexpr int kInterruptsToKill = 3;

sigset_t relayed_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : kRelayedSignals) sigaddset(&set, signal);
    return set;
}

}  // namespace

void block_relayed_signals() {
    sigset_t set = relayed_signals();
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signal(SIGPIPE, SIG_IGN);
}

int exit_status_of(uint32_t wait_status) {
    int status = static_cast<int>(wait_status);
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    return 128 + WTERMSIG(status);
}

Relay::Relay(VirtualMachine& vm, RelaySettings settings)
    : vm_(vm),
      settings_(std::move(settings)),
      exit_status_(kExitOwnFailure),
      outputs_{OutputStream(STDOUT_FILENO), OutputStream(STDERR_FILENO)} {
    sigset_t set = relayed_signals();
    signals_ = UniqueFd(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (settings_.trace_file.empty()) {
        trace_.emplace(STDERR_FILENO);
        return;
    }
    trace_fd_ = UniqueFd(
        open(settings_.trace_file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
    if (!trace_fd_.valid()) {
        throw CommandError(kExitOwnFailure,
                           fmt::format("{}: {}", settings_.trace_file, strerror(errno)));
    }
    trace_.emplace(trace_fd_.get());
}

int Relay::run() {
    std::optional<RawMode> raw;
    if (settings_.terminal.raw) raw.emplace(STDIN_FILENO);
    try {
        while (state_ == State::kBooting || state_ == State::kRunning) wait_for_events();
    } catch (const ProtocolError& error) {
        say("the guest kernel sent what is not the channel's protocol: {}", error.what());
        vm_.kill();
    }
    return finish();
}

void Relay::wait_for_events() {
    std::vector<pollfd> polled;
    auto watch = [&polled](int fd, short events) {
        polled.push_back({fd, events, 0});
        return polled.size() - 1;
    };
    short channel_events = outputs_are_full() ? 0 : POLLIN;
    if (!to_guest_.empty()) channel_events |= POLLOUT;
    size_t channel = watch(vm_.channel_fd(), channel_events);
    size_t serial = watch(vm_.serial_fd(), POLLIN);
    size_t errors = watch(vm_.errors_fd(), POLLIN);
    size_t ended = watch(vm_.process_fd(), POLLIN);
    size_t signals = watch(signals_.get(), POLLIN);
    bool read_input = stdin_open_ && stdin_credit_ > 0;
    size_t input = watch(read_input ? STDIN_FILENO : -1, POLLIN);
    size_t output[2];
    for (int i = 0; i < 2; ++i) {
        // Even without anything to write: POLLERR tells that a pipe's reader has gone.
        output[i] = watch(outputs_[i].broken() ? -1 : outputs_[i].poll_fd(),
                          outputs_[i].wants_write() ? POLLOUT : 0);
    }
    size_t trace = watch(trace_->wants_write() ? trace_->poll_fd() : -1, POLLOUT);

    int timeout_ms = -1;
    if (state_ == State::kBooting && settings_.boot_limit.count() > 0) {
        auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
            start_ + settings_.boot_limit - Clock::now());
        timeout_ms = static_cast<int>(std::max<int64_t>(left.count(), 0));
    }
    int ready = poll(polled.data(), polled.size(), timeout_ms);
    if (ready < 0 && errno != EINTR) {
        throw CommandError(kExitOwnFailure, fmt::format("poll: {}", strerror(errno)));
    }
    if (ready == 0 && state_ == State::kBooting) {
        say("the guest kernel said nothing within {} seconds of its start; it was stopped",
            settings_.boot_limit.count());
        killed_ = true;
        vm_.kill();
        state_ = State::kGone;
        return;
    }
    if (ready <= 0) return;

    if (polled[signals].revents) read_signals();
    if (polled[channel].revents & POLLOUT) write_channel();
    if (polled[channel].revents & (POLLIN | POLLHUP | POLLERR)) read_channel();
    if (polled[serial].revents) read_text(vm_.serial_fd(), serial_line_);
    if (polled[errors].revents) read_text(vm_.errors_fd(), error_line_);
    if (polled[input].revents) read_stdin();
    for (int i = 0; i < 2; ++i) {
        if (polled[output[i]].revents & POLLOUT) write_output(i + 1);
        if (polled[output[i]].revents & (POLLERR | POLLNVAL)) outputs_[i].mark_broken();
        check_broken(i + 1);
    }
    if (polled[trace].revents) trace_->write_some();
    if (polled[ended].revents && state_ != State::kExited) {
        read_channel();  // What it said last.
        if (state_ != State::kExited) state_ = State::kGone;
    }
}

bool Relay::outputs_are_full() const {
    return outputs_[0].pending() > kOutputLimit || outputs_[1].pending() > kOutputLimit ||
           trace_->pending() > kOutputLimit;
}

void Relay::read_channel() {
    char buffer[channel::kMaxPayload];
    while (!outputs_are_full() && state_ != State::kExited) {
        ssize_t size = read(vm_.channel_fd(), buffer, sizeof(buffer));
        if (size < 0 && errno == EINTR) continue;
        if (size < 0 && errno == EAGAIN) return;
        if (size <= 0) {
            state_ = State::kGone;
            return;
        }
        frames_.feed({buffer, static_cast<size_t>(size)});
        while (auto frame = frames_.next()) {
            handle(*frame);
            if (state_ == State::kExited) return;
        }
        if (static_cast<size_t>(size) < sizeof(buffer)) return;
    }
}

void Relay::handle(const Frame& frame) {
    unanswered_interrupts_ = 0;
    switch (frame.type) {
        case FrameType::kHello:
            answer_hello(frame_u32(frame));
            break;
        case FrameType::kStdoutData:
        case FrameType::kStderrData: {
            int descriptor = frame.type == FrameType::kStdoutData ? 1 : 2;
            outputs_[descriptor - 1].queue(frame.payload);
            write_output(descriptor);
            break;
        }
        case FrameType::kTrace:
            trace_->queue(frame.payload);
            trace_->write_some();
            break;
        case FrameType::kMessage:
            say_text(frame.payload);
            break;
        case FrameType::kStdinCredit:
            stdin_credit_ += frame_u32(frame);
            break;
        case FrameType::kExit:
            wait_status_ = frame_u32(frame);
            state_ = State::kExited;
            break;
        case FrameType::kTerminalMode:
            break;
        default:
            throw ProtocolError(fmt::format("frame type {}", static_cast<int>(frame.type)));
    }
}

void Relay::answer_hello(uint32_t version) {
    if (version != channel::kVersion) {
        throw ProtocolError(fmt::format("it speaks version {}, this program version {}", version,
                                        channel::kVersion));
    }
    greeted_ = true;
    state_ = State::kRunning;
    say_verbose("the kernel is up");
    if (settings_.terminal.tty[0] || settings_.terminal.tty[1]) send_window_size();
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    std::string config = settings_.config;
    config += fmt::format("clock={}", now.tv_sec * 1'000'000'000LL + now.tv_nsec);
    config += '\0';
    append_frame(to_guest_, FrameType::kConfig, config);
    write_channel();
}

void Relay::write_channel() {
    while (!to_guest_.empty()) {
        ssize_t size = write(vm_.channel_fd(), to_guest_.data(), to_guest_.size());
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return;  // Full, or gone: then reading tells.
        to_guest_.erase(0, static_cast<size_t>(size));
    }
}

void Relay::read_stdin() {
    char buffer[channel::kMaxPayload];
    size_t wanted = std::min<uint64_t>(stdin_credit_, sizeof(buffer));
    ssize_t size = read(STDIN_FILENO, buffer, wanted);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (size > 0) {
        stdin_credit_ -= static_cast<uint64_t>(size);
        append_frame(to_guest_, FrameType::kStdinData, {buffer, static_cast<size_t>(size)});
    } else {
        stdin_open_ = false;
        append_frame(to_guest_, FrameType::kStdinEnd, {});
    }
    write_channel();
}

void Relay::write_output(int descriptor) {
    // Each frame interrupts the guest, so credit goes back in portions.
    constexpr uint32_t kPortion = channel::kInitialOutputCredit / 4;
    uint32_t& written = uncredited_[descriptor - 1];
    written += static_cast<uint32_t>(outputs_[descriptor - 1].write_some());
    if (written >= kPortion) {
        channel::OutputCredit credit{static_cast<uint32_t>(descriptor), written};
        written = 0;
        append_frame(to_guest_, FrameType::kOutputCredit,
                     {reinterpret_cast<const char*>(&credit), sizeof(credit)});
        write_channel();
    }
    check_broken(descriptor);
}

void Relay::check_broken(int descriptor) {
    if (!greeted_ || !outputs_[descriptor - 1].broken() || told_broken_[descriptor - 1]) return;
    told_broken_[descriptor - 1] = true;
    append_frame_u32(to_guest_, FrameType::kStreamClosed, static_cast<uint32_t>(descriptor));
    write_channel();
}

void Relay::send_window_size() {
    channel::WindowSize size = window_size().value_or(channel::WindowSize{24, 80, 0, 0});
    append_frame(to_guest_, FrameType::kWindowSize,
                 {reinterpret_cast<const char*>(&size), sizeof(size)});
    write_channel();
}

void Relay::read_signals() {
    signalfd_siginfo info;
    while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
        int signal = static_cast<int>(info.ssi_signo);
        if (signal == SIGWINCH) {
            if (greeted_) send_window_size();
        } else {
            forward_signal(signal);
        }
    }
}

void Relay::forward_signal(int signal) {
    auto now = Clock::now();
    if (now - last_interrupt_ > kInterruptWindow) unanswered_interrupts_ = 0;
    last_interrupt_ = now;
    ++unanswered_interrupts_;
    // Before the program runs there is nobody to ask.
    if (!greeted_ || unanswered_interrupts_ >= kInterruptsToKill) {
        if (greeted_) say("the program does not react to signals; stopped");
        killed_ = true;
        exit_status_ = 128 + signal;
        vm_.kill();
        state_ = State::kGone;
        return;
    }
    append_frame_u32(to_guest_, FrameType::kSignal, static_cast<uint32_t>(signal));
    write_channel();
}

void Relay::read_text(int fd, std::string& line) {
    char buffer[4096];
    ssize_t size;
    while ((size = read(fd, buffer, sizeof(buffer))) > 0) {
        for (char c : std::string_view(buffer, static_cast<size_t>(size))) {
            if (c == '\n') {
                say("{}", line);
                line.clear();
            } else if (c != '\r') {
                line += c;
            }
        }
    }
    if (size == 0 && !line.empty()) {
        say("{}", line);
        line.clear();
    }
}

int Relay::finish() {
    for (OutputStream& output : outputs_) output.drain();
    trace_->drain();
    if (wait_status_) say_verbose("the program ended with wait status {:#x}", *wait_status_);
    std::optional<int> status = vm_.wait(kPowerOffLimit);
    if (!status) {
        vm_.kill();
        status = vm_.wait(kPowerOffLimit);
    }
    read_text(vm_.serial_fd(), serial_line_);
    read_text(vm_.errors_fd(), error_line_);
    say_verbose("the virtual machine is gone");
    if (wait_status_) return exit_status_of(*wait_status_);
    if (killed_) return exit_status_;

    int code = status && WIFEXITED(*status) ? WEXITSTATUS(*status) : -1;
    // isa-debug-exit makes QEMU leave with value * 2 + 1; 1 is also QEMU's own failure. A kernel
    // that found no channel has no other way to tell.
    if (!greeted_ && code > 1 && code % 2 == 1) return code >> 1;
    if (status && WIFSIGNALED(*status)) {
        say("QEMU was killed by signal {}", WTERMSIG(*status));
    } else {
        say("the virtual machine ended {} (QEMU's exit status {})",
            greeted_ ? "without telling the program's exit status" : "before the kernel was up",
            code);
    }
    return exit_status_;
}

}  // namespace coracle
