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
constexpr char kControlC = 3;
constexpr int kKilledStatus = 128 + SIGKILL;

// Without those that this process ignores, as under nohup: a blocked signal would arrive all the
// same.
sigset_t relayed_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (int signal : kRelayedSignals) {
        struct sigaction action;
        sigaction(signal, nullptr, &action);
        if (action.sa_handler != SIG_IGN) sigaddset(&set, signal);
    }
    return set;
}

// On the emergency console the kernel writes the prefix of its words itself.
void say_console_line(std::string_view line) {
    constexpr std::string_view kPrefix = "coracle: ";
    say_text(line.starts_with(kPrefix) ? line.substr(kPrefix.size()) : line);
}

bool should_end_the_program(int signal) {
    return signal == SIGINT || signal == SIGTERM || signal == SIGQUIT || signal == SIGHUP;
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
      boot_limit_(vm, settings_.boot_limit),
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
        while (state_ == State::kBooting || state_ == State::kRunning) {
            wait_for_events();
            check_boot_limit();
        }
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

    int ready = poll(polled.data(), polled.size(), next_timeout_ms());
    if (ready < 0 && errno != EINTR) {
        throw CommandError(kExitOwnFailure, fmt::format("poll: {}", strerror(errno)));
    }
    // Whatever else is ready: a program that prints without end must not put this off.
    check_stop_deadline();
    if (ready <= 0 || state_ == State::kGone) return;

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

int Relay::next_timeout_ms() const {
    if (has_boot_limit()) return boot_limit_.timeout_ms();
    if (!stop_deadline_) return -1;
    // Rounded up: poll() must not return just before the deadline, again and again.
    auto left = std::chrono::ceil<std::chrono::milliseconds>(*stop_deadline_ - Clock::now());
    return static_cast<int>(std::max<int64_t>(left.count(), 0));
}

bool Relay::has_boot_limit() const {
    return state_ == State::kBooting && settings_.boot_limit.count() > 0;
}

// After what it may have said at last has been read.
void Relay::check_boot_limit() {
    if (!has_boot_limit() || !boot_limit_.is_over()) return;
    say("the guest kernel said nothing within {} seconds of its start; it was stopped",
        settings_.boot_limit.count());
    give_up(exit_status_);
}

void Relay::check_stop_deadline() {
    if (!stop_deadline_ || Clock::now() < *stop_deadline_) return;
    say("the program did not end within {} seconds of SIGTERM; it was killed",
        settings_.stop_timeout.count());
    give_up(kKilledStatus);
}

// The machine is stopped; `exit_status` is this process's.
void Relay::give_up(int exit_status) {
    killed_ = true;
    exit_status_ = exit_status;
    vm_.kill();
    state_ = State::kGone;
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
    typed_.forget();
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
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    std::string config = settings_.config;
    if (auto size = window_size()) {
        // At the guest's start: a frame could come before its terminal is there.
        for (auto [key, value] : {std::pair("rows", size->rows), {"columns", size->columns},
                                  {"xpixels", size->x_pixels}, {"ypixels", size->y_pixels}}) {
            config += fmt::format("{}={}", key, value);
            config += '\0';
        }
    }
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
        if (settings_.terminal.raw) note_typed_interrupts({buffer, static_cast<size_t>(size)});
        append_frame(to_guest_, FrameType::kStdinData, {buffer, static_cast<size_t>(size)});
    } else {
        stdin_open_ = false;
        append_frame(to_guest_, FrameType::kStdinEnd, {});
    }
    write_channel();
}

// In raw mode Ctrl-C is a byte like any other, which the guest's kernel answers at once: with the
// echo, or with credit. Three without an answer mean that it is stuck.
void Relay::note_typed_interrupts(std::string_view typed) {
    for (char byte : typed) {
        if (byte != kControlC || !typed_.grows()) continue;
        say("the virtual machine does not react to Ctrl-C; it was killed");
        give_up(kKilledStatus);
    }
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
    std::optional<channel::WindowSize> size = window_size();
    if (!size) return;
    append_frame(to_guest_, FrameType::kWindowSize,
                 {reinterpret_cast<const char*>(&*size), sizeof(*size)});
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
    // Before the program runs there is nobody to ask.
    if (!greeted_) return give_up(128 + signal);
    if (should_end_the_program(signal) && signalled_.grows()) {
        say("the program did not end at the third signal; it was killed");
        return give_up(kKilledStatus);
    }
    if (signal == SIGTERM && settings_.stop_timeout.count() >= 0 && !stop_deadline_) {
        stop_deadline_ = Clock::now() + settings_.stop_timeout;
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
                say_console_line(line);
                line.clear();
            } else if (c != '\r') {
                line += c;
            }
        }
    }
    if (size == 0 && !line.empty()) {
        say_console_line(line);
        line.clear();
    }
}

// Waits until all that the program wrote has left, or a signal says that nobody wants it.
void Relay::drain_outputs() {
    for (;;) {
        std::vector<pollfd> polled = {{signals_.get(), POLLIN, 0}};
        for (OutputStream* stream : {&outputs_[0], &outputs_[1], &*trace_}) {
            stream->write_some();
            if (stream->wants_write()) polled.push_back({stream->poll_fd(), POLLOUT, 0});
        }
        if (polled.size() == 1 || killed_) return;
        poll(polled.data(), polled.size(), -1);
        signalfd_siginfo info;
        while (read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
            if (should_end_the_program(static_cast<int>(info.ssi_signo))) return;
        }
    }
}

int Relay::finish() {
    drain_outputs();
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
