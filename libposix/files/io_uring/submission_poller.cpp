#include "libposix/files/io_uring/submission_poller.h"

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/text_line.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/polling.h"
#include "libposix/files/io_uring/io_uring.h"
#include "libposix/process/kernel_thread.h"

namespace coracle {

Result<RefPtr<SubmissionPoller>> SubmissionPoller::start(uint64_t affinity) {
    auto poller = TRY(make_ref<SubmissionPoller>());
    TextLine<15> name;
    name.put("iou-sqp-").put_decimal(current_thread()->tid);
    poller->thread_ = TRY(start_kernel_thread(name.view(), affinity, run, poller.get()));
    poller->ref();  // the thread's
    return poller;
}

SubmissionPoller::Watch* SubmissionPoller::add(std::unique_ptr<Watch> watch, IoUring& ring) {
    watch->ring = &ring;
    watch->next = first_.load(std::memory_order_relaxed);
    first_.store(watch.get(), std::memory_order_release);
    return watch.release();
}

void SubmissionPoller::remove(Watch& watch) {
    watch.ring = nullptr;
    wake();
}

void SubmissionPoller::wake() {
    is_asked_ = true;
    asked_.wake_all();
}

bool SubmissionPoller::has_work() const {
    if (is_asked_.load(std::memory_order_relaxed)) return true;
    for (const Watch* watch = first_.load(std::memory_order_acquire); watch; watch = watch->next) {
        if (watch->memory->waiting_submissions() != 0 && watch->is_enabled) return true;
    }
    return false;
}

uint64_t SubmissionPoller::idle_end_ns() const {
    uint64_t longest = 0;
    for (const Watch* watch = first_; watch; watch = watch->next) {
        longest = std::max(longest, watch->idle_ns);
    }
    return monotonic_ns() + longest;
}

bool SubmissionPoller::serve() {
    constexpr unsigned kMostOfSeveral = 8;  // so that no ring starves the others
    Watch* watch = first_;
    const unsigned most = watch->next ? kMostOfSeveral : UINT32_MAX;
    bool had_work = false;
    for (; watch; watch = watch->next) {
        if (!watch->ring || !watch->is_enabled) continue;
        const RefPtr<IoUring> ring(watch->ring);  // a request may sleep
        const ActingFor owner(watch->credentials);
        had_work |= ring->serve(most);
    }
    return had_work;
}

void SubmissionPoller::sleep() {
    for (Watch* watch = first_; watch; watch = watch->next) {
        watch->memory->set_flag(IORING_SQ_NEED_WAKEUP);
    }
    // Whoever adds a request looks at the flag afterwards: one of the two sees the other.
    (void)wait_until(asked_, Deadline::never(), [this] { return has_work(); });
    for (Watch* watch = first_; watch; watch = watch->next) {
        watch->memory->clear_flag(IORING_SQ_NEED_WAKEUP);
    }
}

void SubmissionPoller::drop_ended_rings() {
    Watch* before = nullptr;
    for (Watch* watch = first_; watch;) {
        Watch* next = watch->next;
        if (watch->ring) {
            before = watch;
        } else {
            if (before) {
                before->next = next;
            } else {
                first_ = next;
            }
            delete watch;
        }
        watch = next;
    }
}

void SubmissionPoller::poll_rings() {
    uint64_t idle_end = 0;
    for (;;) {
        take_kernel_thread_signals();
        is_asked_ = false;
        drop_ended_rings();
        if (!first_) return;
        if (serve()) idle_end = idle_end_ns();
        if (monotonic_ns() < idle_end) {
            poll_until(Deadline{idle_end}, [this] { return has_work(); });
        } else {
            sleep();
            idle_end = idle_end_ns();
        }
    }
}

void SubmissionPoller::run(void* argument) {
    {
        const auto poller = adopt_ref(static_cast<SubmissionPoller*>(argument));
        poller->poll_rings();
        poller->thread_ = nullptr;
    }
    exit_kernel_thread();
}

}  // namespace coracle
