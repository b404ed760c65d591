// What the events_* tests share.
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

#include <utility>

#include "files_support.h"

inline int64_t now_ns(clockid_t clock = CLOCK_MONOTONIC) {
    timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000L + now.tv_nsec;
}
constexpr int64_t kMs = 1000000;

inline timespec to_timespec(int64_t ns) {
    return {ns / 1000000000, ns % 1000000000};
}

// What poll(2) says at once.
inline short poll_now(int fd, short asked = POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLWRNORM) {
    pollfd one = {fd, asked, 0};
    EXPECT_GE(poll(&one, 1, 0), 0);
    return one.revents;
}

inline std::string name_of(int fd) {
    char text[256];
    std::string link = "/proc/self/fd/" + std::to_string(fd);
    ssize_t length = readlink(link.c_str(), text, sizeof(text));
    return std::string(text, length < 0 ? 0 : static_cast<size_t>(length));
}

// /proc/self/fdinfo/FD, and whether it holds a line.
inline std::string info_of(int fd) {
    std::string name = "/proc/self/fdinfo/" + std::to_string(fd), text(4096, '\0');
    int info = open(name.c_str(), O_RDONLY);
    ssize_t length = read(info, text.data(), text.size());
    close(info);
    text.resize(length < 0 ? 0 : static_cast<size_t>(length));
    return text;
}

// Runs `action` in a signal handler after some time, and interrupts again and again after that:
// the machine may stand still until the first signal is over, and a wait begin only then.
class AfterDelay {
  public:
    explicit AfterDelay(int64_t delay_ns, void (*action)(), int flags = 0) {
        action_ = action;
        struct sigaction handler = {};
        handler.sa_handler = [](int) {
            int saved = errno;
            if (auto* action = std::exchange(action_, nullptr)) action();
            errno = saved;
        };
        handler.sa_flags = flags;
        sigaction(SIGALRM, &handler, &old_);
        constexpr long kAgainUs = 200'000;
        itimerval timer = {{0, kAgainUs}, {0, delay_ns / 1000}};
        setitimer(ITIMER_REAL, &timer, nullptr);
    }
    ~AfterDelay() {
        itimerval off = {};
        setitimer(ITIMER_REAL, &off, nullptr);
        sigaction(SIGALRM, &old_, nullptr);
    }

  private:
    static inline void (*action_)();
    struct sigaction old_;
};
