// The operations of io_uring, by their rooms. Each gives the result, or says that it waits.
#pragma once

#include "libposix/files/io_uring/io_uring.h"

namespace coracle {

// A result as a completion has it: a count or -errno.
IoUringOutcome outcome_of(Result<long>&& result);
// The request goes on when its file has one of the events. As on Linux, O_NONBLOCK says nothing.
IoUringOutcome wait_for_events(IoUringRequest& request, uint32_t events);

// Tries `attempt()` -> Result<long>, which never sleeps where the file has a wait queue: with
// EAGAIN the request waits for `events`.
template <typename Attempt>
IoUringOutcome try_or_wait(IoUringRequest& request, uint32_t events, Attempt attempt) {
    WaitQueue* queue = request.file->wait_queue();
    for (;;) {
        if (queue && !(request.file->poll_events() & (events | POLLERR | POLLHUP))) {
            return wait_for_events(request, events);
        }
        Result<long> result = attempt();
        if (!queue || result.error_code() != EAGAIN) return outcome_of(std::move(result));
    }
}

IoUringOutcome issue_transfer(IoUringRequest& request);  // READ, WRITE and their variants
IoUringOutcome issue_socket(IoUringRequest& request);    // ACCEPT, CONNECT, SEND, RECV...
IoUringOutcome issue_poll(IoUringRequest& request);      // POLL_ADD
IoUringOutcome issue_timer(IoUringRequest& request);     // TIMEOUT, TIMEOUT_REMOVE
IoUringOutcome issue_cancel(IoUringRequest& request);    // ASYNC_CANCEL, POLL_REMOVE

}  // namespace coracle
