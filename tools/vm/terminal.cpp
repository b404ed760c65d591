#include "tools/vm/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/support/say.h"

namespace coracle {

TerminalPlan plan_terminal(bool force) {
    TerminalPlan plan;
    bool host[3];
    for (int fd = 0; fd < 3; ++fd) {
        host[fd] = isatty(fd) == 1;
        plan.tty[fd] = force || host[fd];
    }
    plan.raw = host[0] && (host[1] || force);
    plan.cooked = !force && !plan.raw && (host[0] || host[1] || host[2]);
    return plan;
}

std::optional<channel::WindowSize> window_size() {
    for (int fd = 0; fd < 3; ++fd) {
        winsize size;
        if (ioctl(fd, TIOCGWINSZ, &size) == 0) {
            return channel::WindowSize{size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel};
        }
    }
    return std::nullopt;
}

RawMode::RawMode(int fd) : fd_(fd) {
    if (tcgetattr(fd, &saved_) != 0) return;
    termios raw = saved_;
    cfmakeraw(&raw);
    changed_ = tcsetattr(fd, TCSADRAIN, &raw) == 0;
    set_say_raw(changed_);
}

RawMode::~RawMode() {
    if (!changed_) return;
    // TCSADRAIN would wait for ever on a terminal whose reader has stopped.
    tcsetattr(fd_, TCSANOW, &saved_);
    set_say_raw(false);
}

}  // namespace coracle
