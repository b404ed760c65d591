#include "libposix/process/threads.h"

#include <boost/intrusive/set.hpp>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/process/futex.h"
#include "libposix/process/futex_pi.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

struct TidOf {
    using type = uint32_t;
    uint32_t operator()(const Thread& thread) const { return thread.tid; }
};
boost::intrusive::set<Thread, boost::intrusive::base_hook<TidHook>,
                      boost::intrusive::key_of_value<TidOf>>
    threads_by_tid;
uint32_t next_tid = 1;

// The number after the last one given, as on Linux.
uint32_t allocate_tid() {
    constexpr uint32_t kFirstReused = 300;  // RESERVED_PIDS
    for (;;) {
        if (next_tid >= kMaxTid) next_tid = kFirstReused;
        const uint32_t tid = next_tid++;
        if (!find_thread(tid)) return tid;
    }
}

// Its number is the process's, so it stays as long as the process.
[[noreturn]] void stay_as_zombie() {
    WaitQueue nobody;
    for (;;) {
        (void)wait_until(nobody, Deadline::never(), [] { return false; }, Interruptible::kNo);
    }
}

// CLONE_CHILD_CLEARTID: what pthread_join(3) waits for.
void clear_child_tid(uint64_t word) {
    if (word == 0) return;
    if (!UserOut<uint32_t>(word).write(0).ok()) return;
    (void)futex_wake({word, FutexScope::kShared}, 1, kFutexMatchAny);
}

}  // namespace

void add_thread(Process& process, Thread& thread) {
    thread.process = &process;
    thread.tid = allocate_tid();
    if (process.threads.empty()) process.pid = thread.tid;
    thread.state->start_time_ns = monotonic_ns();
    thread.state->credentials = &process.credentials;
    threads_by_tid.insert(thread);
    process.threads.push_back(thread);
    if (!thread.state->is_kernel_thread) process.live_threads++;
}

bool is_at_thread_limit(const Process& process) {
    const Credentials& who = process.credentials;
    if (who.uid == 0 || who.has_capability(kCapSysResource) || who.has_capability(kCapSysAdmin)) {
        return false;
    }
    return process.threads.size() >= process.limits.soft(Resource::kProcesses);
}

Thread* find_thread(uint32_t tid) {
    auto found = threads_by_tid.find(tid);
    return found == threads_by_tid.end() ? nullptr : &*found;
}

Result<Thread*> find_any_thread(int tid) {
    Thread* thread = tid ? find_thread(static_cast<uint32_t>(tid)) : current_thread();
    if (!thread) return Error(ESRCH);
    return thread;
}

Result<Thread*> find_own_thread(int tid) {
    if (tid == 0) return current_thread();
    const auto found = threads_by_tid.find(static_cast<uint32_t>(tid));
    if (found == threads_by_tid.end() || found->process != current_process()) return Error(ESRCH);
    return &*found;
}

char (&thread_name(Thread& thread))[16] {
    return thread.tid == thread.process->pid ? thread.process->name : thread.state->name;
}

void exit_thread(int status) {
    Thread& thread = *current_thread();
    Process& process = *thread.process;
    release_robust_mutexes();
    clear_child_tid(thread.state->clear_child_tid);
    // From here on nothing sleeps: nobody finds a thread that will not answer any more.
    const auto wait_status = static_cast<uint32_t>(status & 0xff) << 8;
    if (--process.live_threads == 0) exit_process(wait_status);
    give_up_locks(thread);
    if (VforkWait* vfork = thread.state->vfork) {
        vfork->has_ended = true;
        vfork->ended.wake_all();
    }
    if (thread.tid == process.pid) {
        thread.state->has_ended = true;
        thread.state->wait_status = wait_status;
        hand_over_signals(thread);
        stay_as_zombie();
    }
    leave_process();
}

void leave_process() {
    Thread& thread = *current_thread();
    Process& process = *thread.process;
    process.threads.erase(process.threads.iterator_to(thread));
    threads_by_tid.erase(threads_by_tid.iterator_to(thread));
    hand_over_signals(thread);
    process.ended_threads.add(thread);
    delete thread.state;
    thread.state = nullptr;
    end_current_thread();
}

}  // namespace coracle
