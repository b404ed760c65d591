// poll, ppoll, select, pselect6 (man 2 poll, man 2 select).
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

#include "kernel-min/sched/wait.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Waits on many files at once: an entry in the queue of each.
class PollWaiter {
  public:
    // Calls scan() -> number of ready descriptors until there is one or the deadline passes.
    // `for_each_fd(watch)` calls watch(fd, events) for all that scan() looks at, with the events
    // that it looks for. The file descriptions stay open as long as the wait, whatever happens to
    // the descriptors.
    template <typename Scan, typename ForEachFd>
    Result<long> wait(Deadline deadline, size_t count, Scan scan, ForEachFd for_each_fd) {
        long ready = scan();
        if (ready != 0 || deadline.monotonic_ns == 0) return ready;
        watches_.reset(new (std::nothrow) Watch[count]);
        if (!watches_ && count != 0) return Error(ENOMEM);
        for_each_fd([this](int fd, uint32_t events) { watch(fd, events); });
        for (;;) {
            current_thread()->woken = false;
            ready = scan();
            if (ready != 0) return ready;
            Result<void> slept = sleep_until_woken(deadline, Interruptible::kYes);
            if (slept.ok()) continue;
            if (slept.error_code() == ETIMEDOUT) return scan();
            return Error(kErestartnohand);
        }
    }

  private:
    struct Watch {
        RefPtr<File> file;
        WaitEntry entry;
    };
    void watch(int fd, uint32_t events) {
        Result<RefPtr<File>> file = current_process()->descriptors->get(fd);
        if (!file.ok()) return;
        WaitQueue* queue = (*file)->wait_queue();
        if (!queue) return;
        Watch& watch = watches_[used_++];
        watch.file = file.release_value();
        watch.entry.events = events;
        queue->add(watch.entry);
    }

    std::unique_ptr<Watch[]> watches_;
    size_t used_ = 0;
};

uint32_t events_of(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    return file ? file->poll_events() : POLLNVAL;
}

// A relative time from the application; null waits for ever. `monotonic_ns` 0: do not wait.
template <typename Time>
Result<Deadline> read_deadline(UserPtr<Time> pointer) {
    if (!pointer) return Deadline::never();
    Time time = TRY(UserIn<Time>(pointer.address()).read());
    if (!is_valid(time)) return Error(EINVAL);
    uint64_t ns = to_ns(time);
    return ns == 0 ? Deadline{0} : Deadline::after(ns);
}

template <typename Time, Time from_ns(uint64_t)>
void write_remaining(UserPtr<Time> pointer, Deadline deadline) {
    if (!pointer) return;
    uint64_t now = monotonic_ns();
    uint64_t left = deadline.monotonic_ns > now ? deadline.monotonic_ns - now : 0;
    // The result stands even where the time cannot be written.
    (void)UserOut<Time>(pointer.address()).write(from_ns(left));
}

uint32_t asked_events(const pollfd& poll) {
    return static_cast<uint16_t>(poll.events) | POLLERR | POLLHUP | POLLNVAL;
}

Result<long> poll_descriptors(UserInOut<pollfd> user_fds, unsigned count, Deadline deadline) {
    Process& process = *current_process();
    if (count > process.limits.soft(Resource::kOpenFiles)) return Error(EINVAL);
    pollfd inline_fds[16];
    std::unique_ptr<pollfd[]> long_fds;
    pollfd* fds = inline_fds;
    if (count > std::size(inline_fds)) {
        long_fds.reset(new (std::nothrow) pollfd[count]);
        if (!long_fds) return Error(ENOMEM);
        fds = long_fds.get();
    }
    TRY(user_fds.in().read_array(fds, count));
    auto scan = [&] {
        long ready = 0;
        for (pollfd* poll = fds; poll != fds + count; poll++) {
            poll->revents = 0;
            if (poll->fd < 0) continue;
            uint32_t events = events_of(poll->fd) & asked_events(*poll);
            poll->revents = static_cast<short>(events);
            ready += events != 0;
        }
        return ready;
    };
    PollWaiter waiter;
    long ready = TRY(waiter.wait(deadline, count, scan, [&](auto watch) {
        for (unsigned i = 0; i < count; i++) watch(fds[i].fd, asked_events(fds[i]));
    }));
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = user_fds.address() + i * sizeof(pollfd) + offsetof(pollfd, revents);
        TRY(UserOut<short>(address).write(fds[i].revents));
    }
    return ready;
}

// The three sets of select(2), asked and answered.
class SelectSets {
  public:
    static constexpr uint32_t kEvents[3] = {
        POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
        POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
        POLLPRI,
    };

    Result<void> read(const UserInOut<unsigned long> (&sets)[3], size_t descriptors) {
        words_ = (descriptors + 63) / 64;
        count_ = descriptors;
        bits_.reset(new (std::nothrow) unsigned long[words_ * 6]());
        if (!bits_) return Error(ENOMEM);
        for (int i = 0; i < 3; i++) {
            if (sets[i]) TRY(sets[i].in().read_array(asked(i), words_));
        }
        return {};
    }
    Result<void> write(const UserInOut<unsigned long> (&sets)[3]) {
        for (int i = 0; i < 3; i++) {
            if (sets[i]) TRY(sets[i].out().write_array(answered(i), words_));
        }
        return {};
    }
    template <typename Function>
    void for_each_fd(Function function) {
        for (size_t word = 0; word < words_; word++) {
            unsigned long any = asked(0)[word] | asked(1)[word] | asked(2)[word];
            for (; any != 0; any &= any - 1) {
                size_t fd = word * 64 + static_cast<size_t>(std::countr_zero(any));
                if (fd < count_) function(static_cast<int>(fd));
            }
        }
    }
    bool all_open() {
        bool open = true;
        for_each_fd([&](int fd) { open &= current_process()->descriptors->find(fd) != nullptr; });
        return open;
    }
    long scan() {
        long ready = 0;
        std::fill_n(answered(0), words_ * 3, 0);
        for_each_fd([&](int fd) {
            uint32_t events = events_of(fd);
            unsigned long bit = 1UL << (fd % 64);
            for (int i = 0; i < 3; i++) {
                if (!(asked(i)[fd / 64] & bit) || !(events & kEvents[i])) continue;
                answered(i)[fd / 64] |= bit;
                ready++;
            }
        });
        return ready;
    }

    uint32_t asked_events(int fd) {
        uint32_t events = 0;
        for (int i = 0; i < 3; i++) {
            if (asked(i)[fd / 64] >> (fd % 64) & 1) events |= kEvents[i];
        }
        return events;
    }

  private:
    unsigned long* asked(int set) { return bits_.get() + words_ * static_cast<size_t>(set); }
    unsigned long* answered(int set) { return asked(set + 3); }

    std::unique_ptr<unsigned long[]> bits_;
    size_t words_ = 0, count_ = 0;
};

Result<long> select_descriptors(int count, const UserInOut<unsigned long> (&user_sets)[3],
                                Deadline deadline) {
    if (count < 0) return Error(EINVAL);
    size_t limit = current_process()->descriptors->capacity();
    size_t descriptors = std::min(static_cast<size_t>(count), limit);
    SelectSets sets;
    TRY(sets.read(user_sets, descriptors));
    if (!sets.all_open()) return Error(EBADF);
    PollWaiter waiter;
    long ready = TRY(waiter.wait(
        deadline, descriptors, [&] { return sets.scan(); },
        [&](auto watch) { sets.for_each_fd([&](int fd) { watch(fd, sets.asked_events(fd)); }); }));
    TRY(sets.write(user_sets));
    return ready;
}

}  // namespace

Result<long> sys_poll(UserInOut<pollfd> fds, unsigned count, int timeout_ms) {
    Deadline deadline = Deadline::never();
    if (timeout_ms == 0) deadline = Deadline{0};
    if (timeout_ms > 0) deadline = Deadline::after(static_cast<uint64_t>(timeout_ms) * 1000000);
    return poll_descriptors(fds, count, deadline);
}

Result<long> sys_ppoll(UserInOut<pollfd> fds, unsigned count, UserInOut<timespec> timeout,
                       UserIn<SignalSet> mask, size_t mask_size) {
    Deadline deadline = TRY(read_deadline<timespec>(timeout));
    TRY(set_temporary_signal_mask(mask.address(), mask_size));
    Result<long> result = poll_descriptors(fds, count, deadline);
    restore_signal_mask(result.error_code() == kErestartnohand);
    write_remaining<timespec, to_timespec>(timeout, deadline);
    return result;
}

Result<long> sys_select(int count, UserInOut<unsigned long> read_set,
                        UserInOut<unsigned long> write_set, UserInOut<unsigned long> except_set,
                        UserInOut<timeval> timeout) {
    Deadline deadline = Deadline::never();
    if (timeout) {
        // Unlike elsewhere, microseconds may be more than a second.
        timeval time = TRY(timeout.read());
        if (time.tv_sec < 0 || time.tv_usec < 0) return Error(EINVAL);
        uint64_t ns = to_ns(timeval{time.tv_sec + time.tv_usec / 1000000, time.tv_usec % 1000000});
        deadline = ns == 0 ? Deadline{0} : Deadline::after(ns);
    }
    Result<long> result = select_descriptors(count, {read_set, write_set, except_set}, deadline);
    write_remaining<timeval, to_timeval>(timeout, deadline);
    return result;
}

Result<long> sys_pselect6(int count, UserInOut<unsigned long> read_set,
                          UserInOut<unsigned long> write_set, UserInOut<unsigned long> except_set,
                          UserInOut<timespec> timeout, UserIn<SigsetAndSize> mask_pointer) {
    SigsetAndSize mask = {};
    if (mask_pointer) mask = TRY(mask_pointer.read());
    Deadline deadline = TRY(read_deadline<timespec>(timeout));
    TRY(set_temporary_signal_mask(mask.set, mask.size));
    Result<long> result = select_descriptors(count, {read_set, write_set, except_set}, deadline);
    restore_signal_mask(result.error_code() == kErestartnohand);
    write_remaining<timespec, to_timespec>(timeout, deadline);
    return result;
}

}  // namespace coracle
