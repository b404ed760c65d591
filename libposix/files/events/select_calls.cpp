// select, pselect6 (man 2 select).
#include <poll.h>
#include <sys/time.h>

#include <algorithm>
#include <bit>
#include <memory>
#include <new>

#include "libposix/files/events/poll_waiter.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

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
        if (words_ > kInlineWords) {
            long_.reset(new (std::nothrow) unsigned long[words_ * 6]);
            if (!long_) return Error(ENOMEM);
            bits_ = long_.get();
        }
        std::fill_n(bits_, words_ * 6, 0);
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
            uint32_t events = poll_events_of(fd);
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
    unsigned long* asked(int set) { return bits_ + words_ * static_cast<size_t>(set); }
    unsigned long* answered(int set) { return asked(set + 3); }

    static constexpr size_t kInlineWords = 4;
    unsigned long inline_[kInlineWords * 6];
    std::unique_ptr<unsigned long[]> long_;
    unsigned long* bits_ = inline_;
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
    const long ready = TRY(PollWaiter::wait(
        deadline, descriptors, [&] { return sets.scan(); },
        [&](auto watch) { sets.for_each_fd([&](int fd) { watch(fd, sets.asked_events(fd)); }); }));
    TRY(sets.write(user_sets));
    return ready;
}

}  // namespace

Result<long> sys_select(int count, UserInOut<unsigned long> read_set,
                        UserInOut<unsigned long> write_set, UserInOut<unsigned long> except_set,
                        UserInOut<timeval> timeout) {
    PollTimeout time = PollTimeout::never();
    if (timeout) {
        // Unlike elsewhere, microseconds may be more than a second.
        const timeval wanted = TRY(timeout.read());
        if (wanted.tv_sec < 0 || wanted.tv_usec < 0) return Error(EINVAL);
        const timeval normal = {wanted.tv_sec + wanted.tv_usec / 1000000, wanted.tv_usec % 1000000};
        if (normal.tv_sec < 0) return Error(EINVAL);
        time = PollTimeout::after_ns(to_ns(normal));
    }
    Result<long> result =
        select_descriptors(count, {read_set, write_set, except_set}, time.deadline());
    return time.finish<timeval>(timeout, to_timeval, std::move(result));
}

Result<long> sys_pselect6(int count, UserInOut<unsigned long> read_set,
                          UserInOut<unsigned long> write_set, UserInOut<unsigned long> except_set,
                          UserInOut<timespec> timeout, UserIn<SigsetAndSize> mask_pointer) {
    SigsetAndSize mask = {};
    if (mask_pointer) mask = TRY(mask_pointer.read());
    const PollTimeout time = TRY(PollTimeout::read(timeout.in()));
    TRY(set_temporary_signal_mask(mask.set, mask.size));
    Result<long> result =
        select_descriptors(count, {read_set, write_set, except_set}, time.deadline());
    restore_signal_mask(result.error_code() == kErestartnohand);
    return time.finish<timespec>(timeout, to_timespec, std::move(result));
}

}  // namespace coracle
