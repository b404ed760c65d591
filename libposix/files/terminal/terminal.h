// The one terminal of the VM: the host's, reached through the channel, with the line discipline in
// between. /dev/pts/0, /dev/tty and /dev/console are it.
//
// Job control follows man 4 tty_ioctl and man 3 termios; the session starts as the first
// process's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/abi/channel.h"
#include "kernel-min/devices/boot_config.h"
#include "kernel-min/sched/wait.h"
#include "libposix/files/io_buffer.h"
#include "libposix/files/terminal/line_discipline.h"

namespace coracle {

class HostOutput;
class Process;

class Terminal final : public LineDiscipline::Driver {
  public:
    static constexpr uint32_t kMajor = 136, kMinor = 0;

    static Terminal& instance() { return instance_; }
    // There is a terminal: listens to the host.
    void start(const BootConfig& config);
    bool is_present() const { return present_; }
    // Whether it is the process's controlling terminal.
    bool controls(const Process& process) const;

    Result<size_t> read(IoBuffer& to, bool nonblocking);
    Result<size_t> write(IoBuffer& from, bool nonblocking);
    Result<long> ioctl(uint32_t command, uint64_t argument);
    uint32_t poll_events() const;
    WaitQueue changed;

    // TIOCEXCL: others must not open it.
    bool is_exclusive() const { return exclusive_; }

  private:
    static constexpr size_t kPendingSize = 4096;

    Terminal() = default;
    void echo(std::span<const char> bytes) override;
    void signal_foreground(int signo) override;

    static void receive_data(std::span<const char> piece, uint32_t remaining);
    static void receive_end(std::span<const char> piece, uint32_t remaining);
    static void receive_window_size(std::span<const char> piece, uint32_t remaining);
    void take_pending();
    void resize(const channel::WindowSize& size);

    // A background process must not do this: `signo` for its group, and kErestartsys; EIO where
    // the signal would not help. SIGTTOU that is ignored or blocked lets it go on.
    Result<void> check_foreground(int signo);
    Result<size_t> take_input(IoBuffer& to);
    Result<size_t> read_bytes(IoBuffer& to, bool nonblocking);

    Result<long> settings_ioctl(uint32_t command, uint64_t argument);
    Result<long> job_control_ioctl(uint32_t command, uint64_t argument);
    Result<long> window_ioctl(uint32_t command, uint64_t argument);
    Result<long> queue_ioctl(uint32_t command, uint64_t argument);

    static Terminal instance_;
    LineDiscipline discipline_{*this};
    HostOutput* output_ = nullptr;
    channel::WindowSize window_ = {};
    uint32_t session_ = 1, foreground_group_ = 1;
    bool present_ = false;
    bool ended_ = false;  // the host's terminal is gone
    bool exclusive_ = false;

    // What the line discipline had no room for; the credit that the host has is the rest of it.
    char pending_[kPendingSize];
    size_t pending_size_ = 0;
};

}  // namespace coracle
