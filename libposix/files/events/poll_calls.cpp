// poll, ppoll (man 2 poll).
#include <poll.h>

#include <memory>
#include <new>

#include "libposix/files/events/poll_waiter.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

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
            uint32_t events = poll_events_of(poll->fd) & asked_events(*poll);
            poll->revents = static_cast<short>(events);
            ready += events != 0;
        }
        return ready;
    };
    const long ready = TRY(PollWaiter::wait(deadline, count, scan, [&](auto watch) {
        for (unsigned i = 0; i < count; i++) watch(fds[i].fd, asked_events(fds[i]));
    }));
    if (!process.descriptors->is_shared()) {
        // No other thread can have changed the rest, so all goes back in one piece.
        TRY(user_fds.out().write_array(fds, count));
        return ready;
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = user_fds.address() + i * sizeof(pollfd) + offsetof(pollfd, revents);
        TRY(UserOut<short>(address).write(fds[i].revents));
    }
    return ready;
}

// A signal without a handler lets poll(2) go on until the same moment.
Result<long> poll_until(UserInOut<pollfd> fds, unsigned count, Deadline deadline);

Result<long> continue_poll(RestartBlock& block) {
    return poll_until(UserInOut<pollfd>(block.arguments[0]),
                      static_cast<unsigned>(block.arguments[1]), Deadline{block.arguments[2]});
}

Result<long> poll_until(UserInOut<pollfd> fds, unsigned count, Deadline deadline) {
    Result<long> result = poll_descriptors(fds, count, deadline);
    if (result.error_code() != kErestartnohand) return result;
    RestartBlock& block = current_thread()->state->signals.restart_block;
    block.arguments[0] = fds.address();
    block.arguments[1] = count;
    block.arguments[2] = deadline.monotonic_ns;
    return block.set(continue_poll);
}

}  // namespace

Result<long> sys_poll(UserInOut<pollfd> fds, unsigned count, int timeout_ms) {
    Deadline deadline = Deadline::never();
    if (timeout_ms == 0) deadline = Deadline{0};
    if (timeout_ms > 0) deadline = Deadline::after(static_cast<uint64_t>(timeout_ms) * 1000000);
    return poll_until(fds, count, deadline);
}

Result<long> sys_ppoll(UserInOut<pollfd> fds, unsigned count, UserInOut<timespec> timeout,
                       UserIn<SignalSet> mask, size_t mask_size) {
    const PollTimeout time = TRY(PollTimeout::read(timeout.in()));
    TRY(set_temporary_signal_mask(mask.address(), mask_size));
    Result<long> result = poll_descriptors(fds, count, time.deadline());
    restore_signal_mask(result.error_code() == kErestartnohand);
    return time.finish<timespec>(timeout, to_timespec, std::move(result));
}

}  // namespace coracle
