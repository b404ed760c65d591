// Condition variables between the threads of one process (POSIX pthread_cond_wait(3) and so on).
//
// The waiters queue in the variable itself, each with its thread's number, and sleep by the calls
// thread_park and thread_unpark: no futex, no queue in the kernel, and a signal wakes exactly the
// waiter that has waited longest. glibc's functions serve variables between processes, and all of
// them under another kernel.
//
// A waiter lies on its thread's stack. It leaves the queue under the variable's lock, by whoever
// signals it or by itself; whoever takes it out to signal it touches it last when it sets
// `is_signalled`. A thread that has been signalled does not touch the variable again, which may be
// gone by then.
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include <cstddef>

#include "libposix/libc/calls/process_page.h"

#define HIDDEN __attribute__((visibility("hidden")))

extern "C" {
// glibc's.
int glibc_pthread_cond_wait(pthread_cond_t*, pthread_mutex_t*);
int glibc_pthread_cond_timedwait(pthread_cond_t*, pthread_mutex_t*, const timespec*);
int glibc_pthread_cond_clockwait(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
int glibc_pthread_cond_signal(pthread_cond_t*);
int glibc_pthread_cond_broadcast(pthread_cond_t*);
HIDDEN int __pthread_enable_asynccancel();
HIDDEN void __pthread_disable_asynccancel(int old);
HIDDEN int __pthread_mutex_unlock_usercnt(pthread_mutex_t*, int);
HIDDEN int __pthread_mutex_cond_lock(pthread_mutex_t*);
HIDDEN void __pthread_cleanup_push(struct _pthread_cleanup_buffer*, void (*)(void*), void*);
HIDDEN void __pthread_cleanup_pop(struct _pthread_cleanup_buffer*, int);
// Bits, number and distance from the thread pointer of struct pthread's member (nptl_db).
HIDDEN extern const uint32_t _thread_db_pthread_tid[3];
}

namespace coracle::libc {
namespace {

using abi::kThreadPark;
using abi::kThreadUnpark;

struct Waiter {
    Waiter* next;
    Waiter** link;  // what points to this one; null: not in the queue
    pthread_mutex_t* mutex;
    struct Condition* condition;
    uint32_t tid;
    uint32_t is_signalled;
};

// pthread_cond_t as this file uses it; PTHREAD_COND_INITIALIZER is all zeros. glibc's
// pthread_cond_init() and pthread_cond_destroy() know the flags alone.
struct Condition {
    uint32_t lock;  // a futex: 0 free, 1 locked, 2 somebody waits for it
    Waiter* first;
    Waiter** end;  // the last one's `next`; null while there was never one
    uint32_t unused[3];
    uint32_t flags;  // glibc's __wrefs
};
constexpr uint32_t kShared = 1, kMonotonic = 2;
static_assert(offsetof(Condition, flags) == offsetof(pthread_cond_t, __data.__wrefs));
static_assert(sizeof(Condition) <= sizeof(pthread_cond_t));

template <typename... Arguments>
long call(uint32_t number, Arguments... arguments) {
    using Entry = long (*)(Arguments...);
    const auto* entries = reinterpret_cast<const uint64_t*>(coracle_process_page->call_entries);
    return reinterpret_cast<Entry>(entries[number])(arguments...);
}

uint32_t own_tid() {
    uint32_t tid;
    asm("mov %%fs:(%1), %0" : "=r"(tid) : "r"(uint64_t{_thread_db_pthread_tid[2]}));
    return tid;
}

template <typename T>
T load(const T& place) {
    return __atomic_load_n(&place, __ATOMIC_ACQUIRE);
}

bool exchange_if(uint32_t& place, uint32_t from, uint32_t to) {
    return __atomic_compare_exchange_n(&place, &from, to, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

__attribute__((noinline, cold)) void wait_for_lock(uint32_t& lock) {
    while (__atomic_exchange_n(&lock, 2, __ATOMIC_ACQUIRE) != 0)
        call(SYS_futex, &lock, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 2, nullptr);
}

__attribute__((noinline, cold)) void wake_one(void* lock) {
    call(SYS_futex, lock, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1);
}

class Locked {
  public:
    explicit Locked(Condition& condition) : lock_(condition.lock) {
        if (!exchange_if(lock_, 0, 1)) wait_for_lock(lock_);
    }
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;
    ~Locked() {
        if (__atomic_exchange_n(&lock_, 0, __ATOMIC_RELEASE) == 2) wake_one(&lock_);
    }

  private:
    uint32_t& lock_;
};

// --- Under the variable's lock.

void enter(Condition& condition, Waiter& waiter) {
    if (condition.first == nullptr) condition.end = &condition.first;
    waiter.next = nullptr;
    waiter.link = condition.end;
    *condition.end = &waiter;
    condition.end = &waiter.next;
}

void leave(Condition& condition, Waiter& waiter) {
    *waiter.link = waiter.next;
    if (waiter.next != nullptr) {
        waiter.next->link = waiter.link;
    } else {
        condition.end = waiter.link;
    }
    waiter.link = nullptr;
}

// --- The mutex. That of the default kind is glibc's {__lock, __owner}: its general functions cost
// several times what is done here, and leave the word as if somebody waited for it.

bool is_plain(const pthread_mutex_t& mutex) {
    return mutex.__data.__kind == 0;
}

uint32_t& lock_word(pthread_mutex_t& mutex) {
    return reinterpret_cast<uint32_t&>(mutex.__data.__lock);
}

int unlock(pthread_mutex_t& mutex) {
    if (!is_plain(mutex)) return __pthread_mutex_unlock_usercnt(&mutex, 0);
    mutex.__data.__owner = 0;
    if (__atomic_exchange_n(&lock_word(mutex), 0, __ATOMIC_RELEASE) > 1) wake_one(&mutex);
    return 0;
}

int lock_again(pthread_mutex_t& mutex, uint32_t tid) {
    if (!is_plain(mutex) || !exchange_if(lock_word(mutex), 0, 1))
        return __pthread_mutex_cond_lock(&mutex);
    mutex.__data.__owner = static_cast<int>(tid);
    return 0;
}

// --- Waiting.

void signal_waiter(Waiter& waiter) {
    const uint32_t tid = waiter.tid;
    __atomic_store_n(&waiter.is_signalled, 1, __ATOMIC_RELEASE);
    call(kThreadUnpark, tid);
}

void signal(Condition& condition) {
    Waiter* waiter;
    {
        Locked locked(condition);
        waiter = condition.first;
        if (waiter == nullptr) return;
        leave(condition, *waiter);
    }
    signal_waiter(*waiter);
}

// Out of the queue, or with a signal that has been taken from it. Tells which.
bool give_up(Waiter& waiter) {
    {
        Locked locked(*waiter.condition);
        if (waiter.link != nullptr) {
            leave(*waiter.condition, waiter);
            return true;
        }
    }
    while (!load(waiter.is_signalled)) call(kThreadPark, 0, nullptr);
    return false;
}

// The thread is cancelled while it waits.
void cancel_wait(void* argument) {
    auto& waiter = *static_cast<Waiter*>(argument);
    Condition& condition = *waiter.condition;
    if (!give_up(waiter)) signal(condition);  // the signal is another's
    lock_again(*waiter.mutex, waiter.tid);
}

// Cancellation may end the thread here.
long sleep(Waiter& waiter, clockid_t clock, const timespec* deadline) {
    _pthread_cleanup_buffer buffer;
    __pthread_cleanup_push(&buffer, cancel_wait, &waiter);
    const int old = __pthread_enable_asynccancel();
    long result = 0;
    while (!load(waiter.is_signalled) && result != -ETIMEDOUT)
        result = call(kThreadPark, clock, deadline);
    __pthread_disable_asynccancel(old);
    __pthread_cleanup_pop(&buffer, 0);
    return result;
}

int wait(Condition& condition, pthread_mutex_t& mutex, clockid_t clock, const timespec* deadline) {
    Waiter waiter{nullptr, nullptr, &mutex, &condition, own_tid(), 0};
    {
        Locked locked(condition);
        enter(condition, waiter);
    }
    if (const int error = unlock(mutex); error != 0) {
        if (!give_up(waiter)) signal(condition);
        return error;
    }
    int result = 0;
    if (sleep(waiter, clock, deadline) == -ETIMEDOUT && !load(waiter.is_signalled) &&
        give_up(waiter))
        result = ETIMEDOUT;
    const int error = lock_again(mutex, waiter.tid);
    return error != 0 ? error : result;
}

int wait_until(Condition& condition, pthread_mutex_t& mutex, clockid_t clock,
               const timespec& deadline) {
    if (deadline.tv_nsec < 0 || deadline.tv_nsec >= 1'000'000'000) return EINVAL;
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC) return EINVAL;
    const timespec long_ago{};
    return wait(condition, mutex, clock, deadline.tv_sec < 0 ? &long_ago : &deadline);
}

Condition& condition_of(pthread_cond_t* variable) {
    return *reinterpret_cast<Condition*>(variable);
}

bool is_shared(const pthread_cond_t* variable) {
    return variable->__data.__wrefs & kShared;
}

// --- The functions.

int cond_wait(pthread_cond_t* variable, pthread_mutex_t* mutex) {
    if (is_shared(variable)) return glibc_pthread_cond_wait(variable, mutex);
    return wait(condition_of(variable), *mutex, 0, nullptr);
}

int cond_timedwait(pthread_cond_t* variable, pthread_mutex_t* mutex, const timespec* deadline) {
    if (is_shared(variable)) return glibc_pthread_cond_timedwait(variable, mutex, deadline);
    Condition& condition = condition_of(variable);
    const clockid_t clock = condition.flags & kMonotonic ? CLOCK_MONOTONIC : CLOCK_REALTIME;
    return wait_until(condition, *mutex, clock, *deadline);
}

int cond_clockwait(pthread_cond_t* variable, pthread_mutex_t* mutex, clockid_t clock,
                   const timespec* deadline) {
    if (is_shared(variable)) return glibc_pthread_cond_clockwait(variable, mutex, clock, deadline);
    return wait_until(condition_of(variable), *mutex, clock, *deadline);
}

int cond_signal(pthread_cond_t* variable) {
    if (is_shared(variable)) return glibc_pthread_cond_signal(variable);
    // A waiter that the caller must wake entered before it unlocked the mutex.
    Condition& condition = condition_of(variable);
    if (load(condition.first) != nullptr) signal(condition);
    return 0;
}

int cond_broadcast(pthread_cond_t* variable) {
    if (is_shared(variable)) return glibc_pthread_cond_broadcast(variable);
    Condition& condition = condition_of(variable);
    Waiter* waiter;
    {
        Locked locked(condition);
        waiter = condition.first;
        condition.first = nullptr;
        for (Waiter* next = waiter; next != nullptr; next = next->next) next->link = nullptr;
    }
    while (waiter != nullptr) {
        Waiter* next = waiter->next;
        signal_waiter(*waiter);
        waiter = next;
    }
    return 0;
}

}  // namespace
}  // namespace coracle::libc

using namespace coracle::libc;

// Both names, for programs and for other functions of libc.
#define FUNCTION(name, ...)                                                                \
    extern "C" int (*resolve_pthread_##name())(__VA_ARGS__) {                              \
        return coracle_process_page == nullptr ? glibc_pthread_##name : name;              \
    }                                                                                      \
    extern "C" __attribute__((visibility("default"), ifunc("resolve_pthread_" #name))) int \
        pthread_##name(__VA_ARGS__) noexcept(noexcept(::pthread_##name));                  \
    extern "C" __attribute__((visibility("default"),                                       \
                              ifunc("resolve_pthread_" #name))) int __pthread_##name(__VA_ARGS__);

FUNCTION(cond_wait, pthread_cond_t*, pthread_mutex_t*)
FUNCTION(cond_timedwait, pthread_cond_t*, pthread_mutex_t*, const timespec*)
FUNCTION(cond_clockwait, pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*)
FUNCTION(cond_signal, pthread_cond_t*)
FUNCTION(cond_broadcast, pthread_cond_t*)
