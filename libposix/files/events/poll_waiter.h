// What poll(2) and select(2) share: waiting on many files at once, and the time that they are
// given and give back.
#pragma once

#include <iterator>
#include <memory>
#include <new>

#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/wait.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"

namespace coracle {

// What holds of the descriptor now; POLLNVAL: it is not open.
uint32_t poll_events_of(int fd);

class PollWaiter {
  public:
    // Calls scan() -> number of ready descriptors until there is one, the deadline passes (0) or
    // a signal comes (kErestartnohand). `for_each_fd(watch)` calls watch(fd, events) for all that
    // scan() looks at, `count` at most, with the events that it looks for. The files stay open as
    // long as the wait, whatever happens to the descriptors. ENOMEM.
    template <typename Scan, typename ForEachFd>
    static Result<long> wait(Deadline deadline, size_t count, Scan scan, ForEachFd for_each_fd) {
        const long ready = scan();
        if (ready != 0 || deadline.monotonic_ns == 0) return ready;
        if (count <= kInline) {
            Watch watches[kInline];
            return PollWaiter(watches).sleep(deadline, scan, for_each_fd);
        }
        std::unique_ptr<Watch[]> watches(new (std::nothrow) Watch[count]);
        if (!watches) return Error(ENOMEM);
        return PollWaiter(watches.get()).sleep(deadline, scan, for_each_fd);
    }

  private:
    static constexpr size_t kInline = 8;
    struct Watch {
        RefPtr<File> file;
        WaitEntry entry;
    };

    explicit PollWaiter(Watch* watches) : next_(watches) {}

    template <typename Scan, typename ForEachFd>
    Result<long> sleep(Deadline deadline, Scan scan, ForEachFd for_each_fd) {
        for_each_fd([this](int fd, uint32_t events) { watch(fd, events); });
        for (int error = 0;;) {
            current_thread()->woken = false;
            const long ready = scan();
            if (ready != 0 || error == ETIMEDOUT) return ready;
            if (error != 0) return Error(kErestartnohand);
            error = sleep_until_woken(deadline, Interruptible::kYes).error_code();
        }
    }
    void watch(int fd, uint32_t events);

    Watch* next_;
};

// The time that is left of a wait, for a caller who gave its length.
class PollTimeout {
  public:
    // Null waits for ever. EFAULT, EINVAL.
    static Result<PollTimeout> read(UserIn<timespec> pointer);
    static PollTimeout never() { return PollTimeout(Deadline::never()); }
    static PollTimeout after_ns(uint64_t nanoseconds) {
        return PollTimeout(nanoseconds == 0 ? Deadline{0} : Deadline::after(nanoseconds));
    }

    Deadline deadline() const { return deadline_; }
    // Linux's poll_select_finish(): writes what is left and gives the call's answer. Where that
    // cannot be written, the call cannot be restarted.
    template <typename Time>
    Result<long> finish(UserPtr<Time> pointer, Time (*from_ns)(uint64_t),
                        Result<long> result) const {
        constexpr uint32_t kStickyTimeouts = 0x4000000;  // personality(2)
        if (!pointer || deadline_.monotonic_ns == 0) return result;
        if (!(current_process()->personality & kStickyTimeouts)) {
            const uint64_t now = monotonic_ns();
            const uint64_t left = deadline_.monotonic_ns > now ? deadline_.monotonic_ns - now : 0;
            if (UserOut<Time>(pointer.address()).write(from_ns(left)).ok()) return result;
        }
        if (result.error_code() == kErestartnohand) return Error(EINTR);
        return result;
    }

  private:
    explicit PollTimeout(Deadline deadline) : deadline_(deadline) {}
    Deadline deadline_;
};

}  // namespace coracle
