// Carries the program's standard streams, signals and exit status between the guest and this
// process, from the kernel's first frame to the last.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "tools/support/unique_fd.h"
#include "tools/vm/frame.h"
#include "tools/vm/impatience.h"
#include "tools/vm/output_stream.h"
#include "tools/vm/start_limit.h"
#include "tools/vm/terminal.h"
#include "tools/vm/virtual_machine.h"

namespace coracle {

struct RelaySettings {
    std::string config;  // kConfig's strings but `clock`, which is added when it is sent.
    TerminalPlan terminal;
    std::string trace_file;               // Where kTrace goes; empty: standard error.
    std::chrono::seconds boot_limit{20};  // StartLimit; 0: none.
    // How long the program may go on after SIGTERM, as `docker stop` lets it; negative: for ever.
    std::chrono::seconds stop_timeout{10};
};

// Blocks the signals that the relay takes by descriptor, and ignores SIGPIPE. To be called before
// the virtual machine is started, so that none is lost.
void block_relayed_signals();

class Relay {
  public:
    Relay(VirtualMachine& vm, RelaySettings settings);

    // Until the program has ended or the machine is gone: the exit status for this process.
    int run();

  private:
    enum class State { kBooting, kRunning, kExited, kGone };
    using Clock = std::chrono::steady_clock;

    void wait_for_events();
    void read_channel();
    void write_channel();
    void read_stdin();
    void note_typed_interrupts(std::string_view typed);
    void read_signals();
    void read_text(int fd, std::string& line);
    void handle(const Frame& frame);
    void answer_hello(uint32_t version);
    void write_output(int descriptor);
    void check_broken(int descriptor);
    void send_window_size();
    void forward_signal(int signal);
    int next_timeout_ms() const;
    bool has_boot_limit() const;
    void check_boot_limit();
    void check_stop_deadline();
    void give_up(int exit_status);
    bool outputs_are_full() const;
    void drain_outputs();
    int finish();

    VirtualMachine& vm_;
    RelaySettings settings_;
    State state_ = State::kBooting;
    StartLimit boot_limit_;
    int exit_status_;
    std::optional<uint32_t> wait_status_;  // What kExit said.
    bool greeted_ = false;                 // kHello was seen.

    FrameReader frames_;
    std::string to_guest_;
    UniqueFd signals_;
    uint64_t stdin_credit_ = 0;
    bool stdin_open_ = true;
    OutputStream outputs_[2];          // Descriptors 1 and 2.
    uint32_t uncredited_[2] = {0, 0};  // Bytes written whose credit has not gone back.
    bool told_broken_[2] = {false, false};
    UniqueFd trace_fd_;
    std::optional<OutputStream> trace_;
    std::string serial_line_, error_line_;

    // Of signals that should end the program, and of Ctrl-C typed while the guest says nothing.
    Impatience signalled_, typed_;
    std::optional<Clock::time_point> stop_deadline_;  // Set by SIGTERM.
    bool killed_ = false;
};

// What wait(2) would have said, as a shell's exit status: 128 + n for signal n.
int exit_status_of(uint32_t wait_status);

}  // namespace coracle
