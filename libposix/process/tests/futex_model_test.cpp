// Futexes on several CPUs, with words that their threads change outside of the kernel: no wake-up
// is lost, whatever times out, is interrupted or moved to another word meanwhile.
#include "libposix/process/futex.h"

#include <gtest/gtest.h>

#include "kernel-min/lib/user_copy.h"
#include "kernel-min/sched/tests/model_machine.h"
#include "libposix/time/clock.h"

namespace coracle {

// --- What futex.cpp stands on: all words are private, and always there.

Result<FutexKey> futex_key(FutexWord word) {
    return FutexKey(FutexKey::kPrivate, nullptr, word.address);
}
Result<NamedFutex> name_futex(FutexWord word) {
    return NamedFutex{TRY(futex_key(word)), nullptr};
}
bool compare_exchange_user(uint64_t word, uint32_t* expected, uint32_t desired) {
    reinterpret_cast<std::atomic<uint32_t>*>(word)->compare_exchange_strong(*expected, desired);
    return true;
}
WaitQueue& wall_clock_changes() {
    static WaitQueue changes;
    return changes;
}
uint64_t realtime_ns() {
    return monotonic_ns();
}

namespace model {
namespace {

constexpr unsigned kSeconds = 100;
using Word = std::atomic<uint32_t>;

FutexWord name(Word& word) {
    return {reinterpret_cast<uint64_t>(&word), FutexScope::kPrivate};
}
FutexLimit within(uint64_t nanoseconds) {
    return {monotonic_ns() + nanoseconds, nanoseconds % 2 != 0};
}

void wait(Word& word, uint32_t value, FutexLimit limit = {}) {
    call("futex_wait", [&] { return futex_wait(name(word), value, kFutexMatchAny, limit); });
}
void wake(Word& word, uint32_t count) {
    call("futex_wake", [&] { return futex_wake(name(word), count, kFutexMatchAny); });
}

// Drepper's second mutex ("Futexes Are Tricky"): 0 free, 1 taken, 2 taken and perhaps waited for.
class Mutex {
  public:
    void lock(Random& random, bool was_waiting = false) {
        uint32_t seen = 0;
        if (!was_waiting && word.compare_exchange_strong(seen, 1)) return;
        if (was_waiting || seen != 2) seen = word.exchange(2);
        while (seen != 0) {
            // Some give up after a while and try again.
            wait(word, 2, random() % 4 ? FutexLimit{} : within(random() % 100'000));
            seen = word.exchange(2);
        }
    }
    void unlock() {
        if (word.exchange(0) == 2) wake(word, 1);
    }
    Word word{0};
};

// Waiters of a condition are moved to its mutex, as glibc's did.
class Condition {
  public:
    void wait_in(Mutex& mutex, Random& random) {
        const uint32_t seen = sequence.load();
        mutex.unlock();
        wait(sequence, seen);
        mutex.lock(random, true);
    }
    void notify_all(Mutex& mutex) {
        const uint32_t next = sequence.fetch_add(1) + 1;
        call("futex_requeue", [&] {
            return futex_requeue(name(sequence), 1, name(mutex.word), INT32_MAX, &next);
        });
    }
    Word sequence{0};
};

class Futex : public ::testing::TestWithParam<unsigned> {
  protected:
    Machine machine_{GetParam()};
};

TEST_P(Futex, MutexesExclude) {
    constexpr unsigned kThreads = 8, kRounds = 300, kMutexes = 2;
    Mutex mutexes[kMutexes];
    uint64_t counts[kMutexes] = {};  // not atomic: the sanitizer watches them
    for (unsigned i = 0; i < kThreads; i++) {
        machine_.add_thread([&](Random& random) {
            for (unsigned round = 0; round < kRounds; round++) {
                const unsigned which = random() % kMutexes;
                mutexes[which].lock(random);
                counts[which]++;
                if (random() % 8 == 0) call("yield", [] { yield(); });
                look_for_interrupts();
                mutexes[which].unlock();
            }
        });
    }
    machine_.run(kSeconds);
    EXPECT_EQ(kThreads * kRounds, counts[0] + counts[1]);
}

TEST_P(Futex, ConditionsMoveTheirWaiters) {
    constexpr unsigned kConsumers = 6, kRounds = 150;
    Mutex mutex;
    Condition has_items;
    unsigned items = 0, taken = 0;  // guarded by the mutex
    for (unsigned i = 0; i < kConsumers; i++) {
        machine_.add_thread([&](Random& random) {
            for (unsigned round = 0; round < kRounds; round++) {
                mutex.lock(random);
                while (items == 0) has_items.wait_in(mutex, random);
                items--;
                taken++;
                mutex.unlock();
            }
        });
    }
    machine_.add_thread([&](Random& random) {
        for (unsigned left = kConsumers * kRounds; left != 0;) {
            const unsigned some = std::min<unsigned>(left, random() % 8 + 1);
            mutex.lock(random);
            items += some;
            has_items.notify_all(mutex);
            mutex.unlock();
            left -= some;
            if (random() % 4 == 0) {
                call("sleep", [&] {
                    WaitQueue nobody;
                    return wait_until(nobody, Deadline::after(random() % 50'000),
                                      [] { return false; });
                });
            }
        }
    });
    machine_.run(kSeconds);
    EXPECT_EQ(0u, items);
    EXPECT_EQ(kConsumers * kRounds, taken);
}

// FUTEX_WAKE_OP changes one word and wakes by two; signals make waiters look again.
TEST_P(Futex, WakeOperationsAndSignals) {
    constexpr unsigned kRounds = 300;
    constexpr uint32_t kAddOneWakeIfZero = 1u << 28 | 1u << 12;  // FUTEX_OP(ADD, 1, CMP_EQ, 0)
    Word tickets{0}, used{0};
    std::atomic<bool> has_ended{false};
    ModelThread& taker = machine_.add_thread([&](Random&) {
        for (uint32_t round = 0; round < kRounds; round++) {
            for (uint32_t seen; (seen = tickets.load()) == 0;) wait(tickets, seen);
            tickets.fetch_sub(1);
            used.fetch_add(1);
            wake(used, 1);
        }
        call("end", [&] { has_ended = true; });
    });
    machine_.add_thread([&](Random&) {
        for (uint32_t round = 0; round < kRounds; round++) {
            call("futex_wake_op", [&] {
                return futex_wake_op(name(used), 0, name(tickets), 1, kAddOneWakeIfZero);
            });
            for (uint32_t seen; (seen = used.load()) <= round;) wait(used, seen);
        }
    });
    machine_.add_thread([&](Random& random) {
        while (!has_ended) {
            call("signal", [&] {
                if (!has_ended) send_model_signal(taker);
            });
            call("sleep", [&] {
                WaitQueue nobody;
                return wait_until(nobody, Deadline::after(random() % 50'000), [] { return false; });
            });
        }
    });
    machine_.run(kSeconds);
    EXPECT_EQ(kRounds, used);
}

INSTANTIATE_TEST_SUITE_P(Cpus, Futex, ::testing::Values(1u, 2u, 4u));

}  // namespace
}  // namespace model
}  // namespace coracle
