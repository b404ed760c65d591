// What ends a command of the host program early, and with which exit status.
#pragma once

#include <stdexcept>
#include <string>

namespace coracle {

// Exit statuses as Docker and shells use them.
constexpr int kExitOwnFailure = 125;     // Coracle itself failed; the program may not have run.
constexpr int kExitNotExecutable = 126;  // The program was found and cannot be run.
constexpr int kExitNotFound = 127;       // The program, or a library it needs, was not found.

// The message is one line for the user, without prefix: what is wrong, then what to do.
class CommandError : public std::runtime_error {
  public:
    CommandError(int exit_status, const std::string& message)
        : std::runtime_error(message), exit_status_(exit_status) {}
    int exit_status() const { return exit_status_; }

  private:
    int exit_status_;
};

}  // namespace coracle
