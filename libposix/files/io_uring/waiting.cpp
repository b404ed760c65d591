// io_uring: POLL_ADD, TIMEOUT, and the end of requests that wait.
#include <poll.h>

#include "libposix/files/io_uring/operations.h"
#include "libposix/time/clock.h"

namespace coracle {
namespace {

using Wake = IoUringRequest::Wake;

// When a timeout at `address` ends, on the monotonic clock.
Result<uint64_t> read_end(uint64_t address, uint32_t flags) {
    constexpr uint32_t kKnown = IORING_TIMEOUT_ABS | IORING_TIMEOUT_BOOTTIME |
                                IORING_TIMEOUT_REALTIME | IORING_TIMEOUT_ETIME_SUCCESS |
                                IORING_LINK_TIMEOUT_UPDATE | IORING_TIMEOUT_UPDATE;
    if (flags & ~kKnown) return Error(EINVAL);
    const timespec time = TRY(UserIn<timespec>(address).read());
    if (!is_valid(time)) return Error(EINVAL);
    const uint64_t ns = to_ns(time);
    if (!(flags & IORING_TIMEOUT_ABS)) return Deadline::after(ns).monotonic_ns;
    if (!(flags & IORING_TIMEOUT_REALTIME)) return ns;
    const uint64_t offset = realtime_ns() - monotonic_ns();
    return ns > offset ? ns - offset : 0;
}

Result<void> start_timeout(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    if (sqe.len != 1) return Error(EINVAL);
    request.timer.start(TRY(read_end(sqe.addr, sqe.timeout_flags)));
    // `off`: it ends with so many completions, too.
    if (sqe.off != 0) request.target = request.ring.completed() + sqe.off;
    request.ring.wait_for_timer(request);
    return {};
}

Result<long> remove_timeout(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    if (sqe.len != 0) return Error(EINVAL);
    auto matches = [&](const IoUringRequest& other) {
        return other.sqe.opcode == IORING_OP_TIMEOUT && other.sqe.user_data == sqe.addr;
    };
    if (!(sqe.timeout_flags & IORING_TIMEOUT_UPDATE)) {
        if (sqe.timeout_flags != 0) return Error(EINVAL);
        if (request.ring.cancel(matches, false) == 0) return Error(ENOENT);
        return 0;
    }
    IoUringRequest* found = request.ring.find_waiting(matches);
    if (!found) return Error(ENOENT);
    const uint64_t end = TRY(read_end(sqe.addr2, sqe.timeout_flags));
    found = request.ring.find_waiting(matches);  // reading may have slept
    if (!found) return Error(ENOENT);
    found->timer.start(end);
    return 0;
}

}  // namespace

bool start_link_timeout(IoUringRequest& limit) {
    Result<uint64_t> end = read_end(limit.sqe.addr, limit.sqe.timeout_flags);
    if (!end.ok()) return false;
    limit.timer.start(*end);
    return true;
}

IoUringOutcome issue_timer(IoUringRequest& request) {
    if (request.sqe.opcode == IORING_OP_TIMEOUT_REMOVE) return outcome_of(remove_timeout(request));
    if (request.wake == Wake::kEvents) return {};
    if (request.wake == Wake::kTimeout) {
        const bool is_success = request.sqe.timeout_flags & IORING_TIMEOUT_ETIME_SUCCESS;
        return {.result = -ETIME, .failed = !is_success};
    }
    Result<void> started = start_timeout(request);
    if (!started.ok()) return outcome_of(started.error());
    return {.waits = true};
}

IoUringOutcome issue_poll(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    if (sqe.len & ~uint32_t{IORING_POLL_ADD_MULTI}) return outcome_of(Error(EINVAL));
    const bool is_multishot = sqe.len & IORING_POLL_ADD_MULTI;
    const uint32_t wanted = (sqe.poll32_events & 0xffff) | POLLERR | POLLHUP;
    const uint32_t found = request.file->poll_events() & wanted;
    if (found != 0 && !is_multishot) return {.result = static_cast<int32_t>(found)};
    if (!request.file->wait_queue()) {
        return found != 0 ? IoUringOutcome{.result = static_cast<int32_t>(found)}
                          : outcome_of(Error(EOPNOTSUPP));
    }
    if (found != 0) request.ring.post(request, static_cast<int32_t>(found), IORING_CQE_F_MORE);
    request.ring.wait_for_events(request, wanted);
    return {.waits = true};
}

IoUringOutcome issue_cancel(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    if (sqe.opcode == IORING_OP_POLL_REMOVE) {
        if (sqe.len != 0) return outcome_of(Error(EINVAL));  // no updates
        const unsigned count = request.ring.cancel(
            [&](const IoUringRequest& other) {
                return other.sqe.opcode == IORING_OP_POLL_ADD && other.sqe.user_data == sqe.addr;
            },
            false);
        return outcome_of(count == 0 ? Result<long>(Error(ENOENT)) : 0);
    }
    constexpr uint32_t kKnown =
        IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ANY;
    if (sqe.cancel_flags & ~kKnown) return outcome_of(Error(EINVAL));
    const bool all = sqe.cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY);
    const unsigned count = request.ring.cancel(
        [&](const IoUringRequest& other) {
            if (sqe.cancel_flags & IORING_ASYNC_CANCEL_ANY) return true;
            if (sqe.cancel_flags & IORING_ASYNC_CANCEL_FD) {
                return other.file && other.sqe.fd == sqe.fd;
            }
            return other.sqe.user_data == sqe.addr;
        },
        all);
    if (all) return {.result = static_cast<int32_t>(count)};
    return outcome_of(count == 0 ? Result<long>(Error(ENOENT)) : 0);
}

}  // namespace coracle
