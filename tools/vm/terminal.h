// The host's terminal, when the program is to have it.
#pragma once

#include <termios.h>

#include <optional>

#include "kernel-min/abi/channel.h"

namespace coracle {

// Which of the program's descriptors are terminals, and who edits the lines.
struct TerminalPlan {
    bool tty[3] = {false, false, false};
    // The guest's line discipline does everything; the host's terminal is made raw.
    bool raw = false;
    // The host's terminal keeps editing lines: another program of the pipeline may use it too.
    bool cooked = false;
};

// `force` is -t: all three descriptors are terminals, whatever they are on the host.
TerminalPlan plan_terminal(bool force);

// The size of the first of descriptors 0, 1, 2 that is a terminal.
std::optional<channel::WindowSize> window_size();

// Raw mode from construction to destruction.
class RawMode {
  public:
    explicit RawMode(int fd);
    ~RawMode();
    RawMode(const RawMode&) = delete;
    RawMode& operator=(const RawMode&) = delete;

  private:
    int fd_;
    bool changed_ = false;
    termios saved_{};
};

}  // namespace coracle
