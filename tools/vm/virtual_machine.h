// A running QEMU and the host's ends of its connections.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tools/support/unique_fd.h"

namespace coracle {

class VirtualMachine {
  public:
    // Starts `command` in a process group of its own, so that the terminal's signals do not reach
    // it; it dies with this process. Throws CommandError when it cannot be started.
    explicit VirtualMachine(const std::vector<std::string>& command);
    ~VirtualMachine();  // Kills it if it still runs.
    VirtualMachine(const VirtualMachine&) = delete;
    VirtualMachine& operator=(const VirtualMachine&) = delete;

    int channel_fd() const { return channel_.get(); }  // Non-blocking, both directions.
    int serial_fd() const { return serial_.get(); }    // Non-blocking, COM1's output.
    int errors_fd() const { return errors_.get(); }    // Non-blocking, QEMU's own messages.
    int process_fd() const { return process_.get(); }  // pidfd: readable when it has ended.

    // What its threads have done since the start, together. Zero where the host does not tell.
    struct Activity {
        std::chrono::nanoseconds ran{0}, waited_for_cpu{0};
    };
    Activity activity() const;

    void kill();
    // Waits up to `limit` for the end; the wait status, or nothing.
    std::optional<int> wait(std::chrono::milliseconds limit);

  private:
    pid_t pid_ = -1;
    std::optional<int> status_;
    UniqueFd channel_, serial_, errors_, process_;
};

}  // namespace coracle
