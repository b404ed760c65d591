// LinuxThreads' condition variables, affinity calls and POSIX timers of before glibc 2.3.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

// The old object is smaller than today's: its first word points at one, made when it is first used.
struct OldCondition {
    pthread_cond_t* condition;
};

pthread_cond_t* real_condition(OldCondition* old) {
    pthread_cond_t* condition = __atomic_load_n(&old->condition, __ATOMIC_ACQUIRE);
    if (condition != nullptr) return condition;
    auto* made = static_cast<pthread_cond_t*>(calloc(1, sizeof(pthread_cond_t)));
    if (made == nullptr) return nullptr;
    if (__atomic_compare_exchange_n(&old->condition, &condition, made, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return made;
    free(made);
    return condition;
}

constexpr int kMaxTimers = 256;
timer_t timers[kMaxTimers];  // By the old timer_t, which was an int.

}  // namespace

EXPORTED int compat_GLIBC_2_2_5_pthread_cond_init(OldCondition* condition,
                                                  const pthread_condattr_t*) {
    condition->condition = nullptr;
    return 0;
}
EXPORTED int compat_GLIBC_2_2_5_pthread_cond_destroy(OldCondition* condition) {
    free(condition->condition);
    condition->condition = nullptr;
    return 0;
}
EXPORTED int compat_GLIBC_2_2_5_pthread_cond_signal(OldCondition* condition) {
    pthread_cond_t* real = real_condition(condition);
    return real == nullptr ? ENOMEM : pthread_cond_signal(real);
}
EXPORTED int compat_GLIBC_2_2_5_pthread_cond_broadcast(OldCondition* condition) {
    pthread_cond_t* real = real_condition(condition);
    return real == nullptr ? ENOMEM : pthread_cond_broadcast(real);
}
EXPORTED int compat_GLIBC_2_2_5_pthread_cond_wait(OldCondition* condition, pthread_mutex_t* mutex) {
    pthread_cond_t* real = real_condition(condition);
    return real == nullptr ? ENOMEM : pthread_cond_wait(real, mutex);
}
EXPORTED int compat_GLIBC_2_2_5_pthread_cond_timedwait(OldCondition* condition,
                                                       pthread_mutex_t* mutex,
                                                       const timespec* deadline) {
    pthread_cond_t* real = real_condition(condition);
    return real == nullptr ? ENOMEM : pthread_cond_timedwait(real, mutex, deadline);
}

EXPORTED int compat_GLIBC_2_3_3_pthread_setaffinity_np(pthread_t thread, const cpu_set_t* set) {
    return pthread_setaffinity_np(thread, sizeof(cpu_set_t), set);
}
EXPORTED int compat_GLIBC_2_3_3_pthread_getaffinity_np(pthread_t thread, cpu_set_t* set) {
    return pthread_getaffinity_np(thread, sizeof(cpu_set_t), set);
}
EXPORTED int compat_GLIBC_2_3_3_pthread_attr_setaffinity_np(pthread_attr_t* attributes,
                                                            const cpu_set_t* set) {
    return pthread_attr_setaffinity_np(attributes, sizeof(cpu_set_t), set);
}
EXPORTED int compat_GLIBC_2_3_3_pthread_attr_getaffinity_np(const pthread_attr_t* attributes,
                                                            cpu_set_t* set) {
    return pthread_attr_getaffinity_np(attributes, sizeof(cpu_set_t), set);
}

// Until 2.34 a thread that had ended was an error.
EXPORTED int compat_GLIBC_2_2_5_pthread_kill(pthread_t thread, int signal) {
    clockid_t clock;
    const int error = pthread_getcpuclockid(thread, &clock);
    return error != 0 ? error : pthread_kill(thread, signal);
}

// Threads have shared a process since LinuxThreads went; execve ends them.
EXPORTED void pthread_kill_other_threads_np() {}

EXPORTED int compat_GLIBC_2_2_5_timer_create(clockid_t clock, sigevent* event, int* id) {
    timer_t timer;
    if (timer_create(clock, event, &timer) != 0) return -1;
    for (int i = 0; i < kMaxTimers; ++i) {
        timer_t none = nullptr;
        // The kernel's first timer is 0 in today's timer_t: one more is never null.
        auto* kept = static_cast<char*>(timer) + 1;
        if (__atomic_compare_exchange_n(&timers[i], &none, static_cast<timer_t>(kept), false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
            *id = i;
            return 0;
        }
    }
    timer_delete(timer);
    errno = EINVAL;
    return -1;
}

namespace {

bool find_timer(int id, timer_t* timer) {
    void* kept =
        id >= 0 && id < kMaxTimers ? __atomic_load_n(&timers[id], __ATOMIC_ACQUIRE) : nullptr;
    if (kept == nullptr) {
        errno = EINVAL;
        return false;
    }
    *timer = static_cast<char*>(kept) - 1;
    return true;
}

}  // namespace

EXPORTED int compat_GLIBC_2_2_5_timer_delete(int id) {
    timer_t timer;
    if (!find_timer(id, &timer) || timer_delete(timer) != 0) return -1;
    __atomic_store_n(&timers[id], nullptr, __ATOMIC_RELEASE);
    return 0;
}
EXPORTED int compat_GLIBC_2_2_5_timer_getoverrun(int id) {
    timer_t timer;
    return find_timer(id, &timer) ? timer_getoverrun(timer) : -1;
}
EXPORTED int compat_GLIBC_2_2_5_timer_gettime(int id, itimerspec* value) {
    timer_t timer;
    return find_timer(id, &timer) ? timer_gettime(timer, value) : -1;
}
EXPORTED int compat_GLIBC_2_2_5_timer_settime(int id, int flags, const itimerspec* value,
                                              itimerspec* old) {
    timer_t timer;
    return find_timer(id, &timer) ? timer_settime(timer, flags, value, old) : -1;
}

extern "C" {
void _pthread_cleanup_push(_pthread_cleanup_buffer* buffer, void (*routine)(void*), void* argument);
void _pthread_cleanup_pop(_pthread_cleanup_buffer* buffer, int execute);
}

EXPORTED void _pthread_cleanup_push_defer(_pthread_cleanup_buffer* buffer, void (*routine)(void*),
                                          void* argument) {
    _pthread_cleanup_push(buffer, routine, argument);
    pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, &buffer->__canceltype);
}
EXPORTED void _pthread_cleanup_pop_restore(_pthread_cleanup_buffer* buffer, int execute) {
    pthread_setcanceltype(buffer->__canceltype, nullptr);
    _pthread_cleanup_pop(buffer, execute);
}
