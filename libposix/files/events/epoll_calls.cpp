// epoll_create, epoll_create1, epoll_ctl, epoll_wait, epoll_pwait, epoll_pwait2.
#include "libposix/files/events/epoll.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

Deadline deadline_after_ms(int timeout_ms) {
    if (timeout_ms < 0) return Deadline::never();
    if (timeout_ms == 0) return Deadline{0};
    return Deadline::after(static_cast<uint64_t>(timeout_ms) * 1000000);
}

Result<long> wait_for_events(int fd, UserOut<epoll_event> events, int max_events,
                             Deadline deadline) {
    constexpr int kMaxEvents = INT32_MAX / sizeof(epoll_event);
    if (max_events <= 0 || max_events > kMaxEvents) return Error(EINVAL);
    const auto count = static_cast<size_t>(max_events);
    if (!is_user_range(events.address(), count * sizeof(epoll_event))) return Error(EFAULT);
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    auto* epoll = file_as<EpollFile>(*file);
    if (!epoll) return Error(EINVAL);
    return epoll->wait(events, count, deadline);
}

Result<long> wait_with_mask(int fd, UserOut<epoll_event> events, int max_events, Deadline deadline,
                            UserIn<SignalSet> mask, size_t mask_size) {
    TRY(set_temporary_signal_mask(mask.address(), mask_size));
    Result<long> result = wait_for_events(fd, events, max_events, deadline);
    restore_signal_mask(result.error_code() == EINTR);
    return result;
}

// An exclusive item can only be added, and asks for nothing but these.
Result<void> check_exclusive(int operation, const File& target, const epoll_event& event) {
    constexpr uint32_t kAllowed =
        EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE;
    if (operation == EPOLL_CTL_DEL || !(event.events & EPOLLEXCLUSIVE)) return {};
    if (operation == EPOLL_CTL_MOD) return Error(EINVAL);
    if (operation != EPOLL_CTL_ADD) return {};
    if (target.kind() == FileKind::kEpoll || (event.events & ~kAllowed)) return Error(EINVAL);
    return {};
}

}  // namespace

Result<long> sys_epoll_create1(int flags) {
    if (flags & ~EPOLL_CLOEXEC) return Error(EINVAL);
    return open_event_file<EpollFile>("[eventpoll]", static_cast<uint32_t>(flags) | O_RDWR);
}

Result<long> sys_epoll_create(int size) {
    if (size <= 0) return Error(EINVAL);
    return sys_epoll_create1(0);
}

Result<long> sys_epoll_ctl(int fd, int operation, int target_fd, UserIn<epoll_event> user_event) {
    epoll_event event = {};
    if (operation != EPOLL_CTL_DEL) event = TRY(user_event.read());
    const DescriptorTable& table = *current_process()->descriptors;
    BorrowedFile file = table.borrow(fd), target = table.borrow(target_fd);
    if (!file || !target) return Error(EBADF);
    if (!target->can_poll()) return Error(EPERM);
    auto* epoll = file_as<EpollFile>(*file);
    if (!epoll || file.get() == target.get()) return Error(EINVAL);
    TRY(check_exclusive(operation, *target, event));
    switch (operation) {
        case EPOLL_CTL_ADD:
            TRY(epoll->add(*target, target_fd, event));
            return 0;
        case EPOLL_CTL_MOD:
            TRY(epoll->modify(*target, target_fd, event));
            return 0;
        case EPOLL_CTL_DEL:
            TRY(epoll->remove(*target, target_fd));
            return 0;
        default:
            return Error(EINVAL);
    }
}

Result<long> sys_epoll_wait(int fd, UserOut<epoll_event> events, int max_events, int timeout_ms) {
    return wait_for_events(fd, events, max_events, deadline_after_ms(timeout_ms));
}

Result<long> sys_epoll_pwait(int fd, UserOut<epoll_event> events, int max_events, int timeout_ms,
                             UserIn<SignalSet> mask, size_t mask_size) {
    return wait_with_mask(fd, events, max_events, deadline_after_ms(timeout_ms), mask, mask_size);
}

Result<long> sys_epoll_pwait2(int fd, UserOut<epoll_event> events, int max_events,
                              UserIn<timespec> timeout, UserIn<SignalSet> mask, size_t mask_size) {
    Deadline deadline = Deadline::never();
    if (timeout) {
        const timespec time = TRY(timeout.read());
        if (!is_valid(time)) return Error(EINVAL);
        deadline = to_ns(time) == 0 ? Deadline{0} : Deadline::after(to_ns(time));
    }
    return wait_with_mask(fd, events, max_events, deadline, mask, mask_size);
}

}  // namespace coracle
