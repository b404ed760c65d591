#include "libposix/files/io_uring/io_uring.h"

#include <poll.h>

#include <algorithm>

#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {

bool IoUringRequest::on_wake(WaitEntry& entry, uint32_t) {
    IoUringRequest& request = static_cast<Wait&>(entry).request;
    request.ring.make_ready(request, IoUringRequest::Wake::kEvents);
    return true;
}

void IoUringRequest::on_timer(void* context) {
    auto* request = static_cast<IoUringRequest*>(context);
    if (request->limited) {
        request->wake = Wake::kTimeout;
        request->ring.make_ready(*request->limited, Wake::kCancel);
    } else {
        request->ring.make_ready(*request, Wake::kTimeout);
    }
}

IoUring::IoUring(const Path& path, RefPtr<Inode> inode, uint32_t flags, RefPtr<RingMemory> memory,
                 uint32_t setup_flags, RefPtr<SubmissionPoller> poller,
                 std::unique_ptr<SubmissionPoller::Watch> watch)
    : AnonymousFile(path, std::move(inode), flags),
      memory_(std::move(memory)),
      is_enabled_(!(setup_flags & IORING_SETUP_R_DISABLED)),
      poller_(std::move(poller)) {
    kind_ = kKind;
    if (!poller_) return;
    watch_ = poller_->add(std::move(watch), *this);
    watch_->is_enabled = is_enabled_;
}

IoUring::~IoUring() {
    if (poller_) poller_->remove(*watch_);
    for (RequestList* list : {&waiting_, &ready_, &deferred_}) {
        list->clear_and_dispose([](IoUringRequest* request) { delete request; });
    }
    overflow_.clear_and_dispose([](Overflow* overflow) { delete overflow; });
}

void IoUring::enable() {
    is_enabled_ = true;
    if (!poller_) return;
    watch_->is_enabled = true;
    poller_->wake();
}

uint32_t IoUring::poll_events() {
    uint32_t events = 0;
    if (memory_->waiting_submissions() < memory_->submission_count()) {
        events |= POLLOUT | POLLWRNORM;
    }
    if (memory_->ready_completions() != 0 || !overflow_.empty() || has_own_work()) {
        events |= POLLIN | POLLRDNORM;
    }
    return events;
}

void IoUring::make_ready(IoUringRequest& request, IoUringRequest::Wake why) {
    request.wait.unlink();
    request.timer.cancel();
    request.wake = why;
    request.unlink();
    ready_.push_back(request);
    if (poller_) return poller_->wake();
    memory_->set_flag(IORING_SQ_TASKRUN);
    changed_.wake_all(POLLIN | POLLRDNORM);
}

void IoUring::wait_for_events(IoUringRequest& request, uint32_t events) {
    request.events = events;
    request.wait.events = events | POLLERR | POLLHUP;
    request.file->wait_queue()->add(request.wait);
    waiting_.push_back(request);
}

void IoUring::wait_for_timer(IoUringRequest& request) {
    waiting_.push_back(request);
}

void IoUring::put(uint64_t user_data, int32_t result, uint32_t flags) {
    io_uring_cqe completion = {};
    completion.user_data = user_data;
    completion.res = result;
    completion.flags = flags;
    if (overflow_.empty() && !memory_->is_full()) {
        memory_->put(completion);
    } else if (Overflow* kept = new (std::nothrow) Overflow) {
        kept->completion = completion;
        overflow_.push_back(*kept);
        memory_->set_flag(IORING_SQ_CQ_OVERFLOW);
    } else {
        memory_->count_overflow();
    }
    changed_.wake_all(POLLIN | POLLRDNORM);
    if (event_file && !memory_->suppresses_eventfd()) {
        const uint64_t one = 1;
        uint64_t position = 0;
        IoBuffer buffer = IoBuffer::kernel(&one, sizeof(one));
        buffer.flags = RWF_NOWAIT;
        (void)event_file->write(buffer, position);
    }
}

void IoUring::flush_overflow() {
    while (!overflow_.empty() && !memory_->is_full()) {
        Overflow* first = &overflow_.front();
        memory_->put(first->completion);
        overflow_.pop_front();
        delete first;
    }
    if (overflow_.empty()) memory_->clear_flag(IORING_SQ_CQ_OVERFLOW);
}

void IoUring::post(const IoUringRequest& request, int32_t result, uint32_t flags) {
    put(request.sqe.user_data, result, flags);
}

void IoUring::cancel_chain(std::unique_ptr<IoUringRequest> first) {
    while (first) {
        put(first->sqe.user_data, -ECANCELED, 0);
        completed_++;
        first = std::move(first->next);
    }
}

std::unique_ptr<IoUringRequest> IoUring::complete(std::unique_ptr<IoUringRequest> request,
                                                  const IoUringOutcome& outcome) {
    const bool is_silent = (request->sqe.flags & IOSQE_CQE_SKIP_SUCCESS) && !outcome.failed;
    if (!is_silent) put(request->sqe.user_data, outcome.result, outcome.flags);
    completed_++;
    if (draining_ == request.get()) draining_ = nullptr;
    if (request->link_timeout) end_link_timeout(std::move(request->link_timeout));
    std::unique_ptr<IoUringRequest> next = std::move(request->next);
    if (next && outcome.failed && !(request->sqe.flags & IOSQE_IO_HARDLINK)) {
        cancel_chain(std::move(next));
    }
    request.reset();
    end_counted_timeouts();
    return next;
}

void IoUring::end_link_timeout(std::unique_ptr<IoUringRequest> limit) {
    const bool is_over = limit->wake == IoUringRequest::Wake::kTimeout;
    put(limit->sqe.user_data, is_over ? -ETIME : -ECANCELED, 0);
    completed_++;
}

void IoUring::run(std::unique_ptr<IoUringRequest> request) {
    while (request) {
        // A time limit behind it begins with it.
        if (request->next && request->next->sqe.opcode == IORING_OP_LINK_TIMEOUT) {
            request->link_timeout = std::move(request->next);
            request->next = std::move(request->link_timeout->next);
        }
        const IoUringOutcome outcome = issue_request(*request);
        if (outcome.waits) {
            IoUringRequest* waiter = request.release();  // it is in waiting_
            IoUringRequest* limit = waiter->link_timeout.get();
            if (!limit || limit->limited) return;
            limit->limited = waiter;
            if (!start_link_timeout(*limit)) {
                make_ready(*waiter, IoUringRequest::Wake::kCancel);
            }
            return;
        }
        request = complete(std::move(request), outcome);
    }
}

void IoUring::run_ready() {
    memory_->clear_flag(IORING_SQ_TASKRUN);
    while (!ready_.empty()) {
        IoUringRequest& first = ready_.front();
        first.unlink();
        run(std::unique_ptr<IoUringRequest>(&first));
    }
    start_deferred();
    flush_overflow();
}

void IoUring::start(std::unique_ptr<IoUringRequest> request) {
    if (!deferred_.empty() || draining_ || (request->sqe.flags & IOSQE_IO_DRAIN)) {
        deferred_.push_back(*request.release());
        start_deferred();
        return;
    }
    run(std::move(request));
}

void IoUring::start_deferred() {
    while (!deferred_.empty() && !draining_) {
        IoUringRequest& first = deferred_.front();
        const bool drains = first.sqe.flags & IOSQE_IO_DRAIN;
        if (drains && completed_ < first.sequence) return;
        first.unlink();
        if (drains) draining_ = &first;
        run(std::unique_ptr<IoUringRequest>(&first));
    }
}

void IoUring::end_counted_timeouts() {
    for (auto at = waiting_.begin(); at != waiting_.end();) {
        IoUringRequest& request = *at++;
        if (request.target != 0 && completed_ >= request.target) {
            make_ready(request, IoUringRequest::Wake::kEvents);
        }
    }
}

Result<unsigned> IoUring::submit(unsigned count) {
    count = std::min({count, memory_->waiting_submissions(), memory_->submission_count()});
    unsigned done = 0;
    bool lacks_memory = false;
    std::unique_ptr<IoUringRequest> chain;
    IoUringRequest* last = nullptr;
    while (done < count) {
        // First, because what is taken out of the ring must be carried out.
        std::unique_ptr<IoUringRequest> request(new (std::nothrow) IoUringRequest(*this));
        lacks_memory = !request;
        if (lacks_memory || !memory_->take(request->sqe)) break;
        done++;
        request->sequence = submitted_++;
        const bool goes_on = request->is_linked_to_next();
        IoUringRequest* added = request.get();
        (last ? last->next : chain) = std::move(request);
        last = added;
        if (goes_on) continue;
        start(std::move(chain));
        last = nullptr;
    }
    if (chain) start(std::move(chain));
    run_ready();
    if (lacks_memory && done == 0) return Error(EAGAIN);
    return done;
}

bool IoUring::serve(unsigned most) {
    const bool had_ready = !ready_.empty();
    Result<unsigned> taken = submit(most);
    const bool took_some = taken.ok() && *taken != 0;
    if (took_some) room_.wake_all();
    return took_some || had_ready;
}

void IoUring::wait_for_room() {
    // As on Linux, a signal ends it unnoticed.
    (void)wait_until(room_, Deadline::never(), [this] {
        return memory_->waiting_submissions() < memory_->submission_count();
    });
}

void IoUring::describe_state(TextBuffer& to) {
    memory_->describe_state(to);
    const Thread* thread = poller_ ? poller_->thread() : nullptr;
    to.print("SqThread:\t%d\nSqThreadCpu:\t%d\n", thread ? static_cast<int>(thread->tid) : -1,
             thread ? static_cast<int>(thread->cpu->id) : -1);
    to.print("UserFiles:\t%u\nUserBufs:\t%u\n", file_count, buffer_count);
}

Result<void> IoUring::wait_for(unsigned count, Deadline deadline) {
    count = std::min(count, memory_->completion_count());
    for (;;) {
        if (poller_) {
            flush_overflow();
        } else {
            run_ready();
        }
        if (memory_->ready_completions() >= count) return {};
        Result<void> waited = wait_until(changed_, deadline, [&] {
            return has_own_work() || memory_->ready_completions() >= count;
        });
        if (waited.ok()) continue;
        return Error(waited.error_code() == ETIMEDOUT ? ETIME : EINTR);
    }
}

}  // namespace coracle
