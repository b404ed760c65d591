// Threads that wait for each other, sleep, yield, move and are signalled on several CPUs at once:
// every wake-up arrives, and each thread runs where it may.
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <numeric>

#include "kernel-min/core/layout.h"
#include "kernel-min/sched/tests/model_machine.h"

namespace coracle::model {
namespace {

constexpr unsigned kSeconds = 100;

class Scheduler : public ::testing::TestWithParam<unsigned> {
  protected:
    Machine machine_{GetParam()};
};

void work(Random& random) {
    for (unsigned i = random() % 200; i != 0; i--) asm volatile("pause");
    look_for_interrupts();
}

bool is_where_it_may_be(const Thread& thread) {
    return thread.affinity >> current_cpu()->id & 1;
}

// What a pipe is: a count that some make larger and others smaller, each in its own time.
struct Semaphore {
    uint64_t count = 0;
    WaitQueue changed;

    void put() {
        count++;
        changed.wake_one();
    }
    Result<void> take(Deadline deadline) {
        WaitEntry entry;
        entry.is_exclusive = true;
        TRY(wait_with(entry, changed, deadline, [&] { return count != 0; }));
        count--;
        return {};
    }
};

TEST_P(Scheduler, TokensGoRound) {
    constexpr unsigned kThreads = 12, kTokens = 5, kRounds = 200;
    std::vector<Semaphore> places(kThreads);
    for (unsigned i = 0; i < kTokens; i++) places[i * 2].count = 1;
    for (unsigned i = 0; i < kThreads; i++) {
        machine_.add_thread([&places, i](Random& random) {
            // Each passes on as many as it takes; those behind the last place rest there.
            for (unsigned round = 0; round < kRounds; round++) {
                call("take", [&] { return places[i].take(Deadline::never()); });
                work(random);
                call("put", [&] { places[(i + 1) % kThreads].put(); });
            }
        });
    }
    machine_.run(kSeconds);
    uint64_t left = 0;
    for (const Semaphore& place : places) left += place.count;
    EXPECT_EQ(kTokens, left);
}

TEST_P(Scheduler, EveryKindOfEvent) {
    constexpr unsigned kThreads = 10, kRounds = 300;
    Semaphore semaphore;
    std::vector<ModelThread*> threads;
    uint64_t put = 0, taken = 0;  // guarded by the kernel lock
    std::vector<bool> has_ended(kThreads);
    const uint64_t all = (uint64_t{1} << GetParam()) - 1;
    for (unsigned i = 0; i < kThreads; i++) {
        threads.push_back(&machine_.add_thread([&, i](Random& random) {
            for (unsigned round = 0; round < kRounds; round++) {
                ModelThread& other = *threads[random() % kThreads];
                const unsigned other_index = static_cast<unsigned>(
                    std::find(threads.begin(), threads.end(), &other) - threads.begin());
                switch (random() % 8) {
                    case 0:
                    case 1:
                        call("put", [&] {
                            put++;
                            semaphore.put();
                        });
                        break;
                    case 2:
                        call("take", [&] {
                            const auto result = semaphore.take(Deadline::after(random() % 200'000));
                            if (result.ok()) taken++;
                        });
                        break;
                    case 3:
                        call("yield", [&] { yield(); });
                        break;
                    case 4:
                        call("sleep", [&] {
                            WaitQueue nobody;
                            return wait_until(nobody, Deadline::after(random() % 300'000),
                                              [] { return false; });
                        });
                        break;
                    case 5:
                        call("signal", [&] {
                            if (!has_ended[other_index]) send_model_signal(other);
                        });
                        break;
                    case 6:
                        call("set_affinity", [&] {
                            const uint64_t wanted = random() & all;
                            if (!has_ended[other_index]) set_affinity(other, wanted ? wanted : all);
                        });
                        break;
                    case 7:
                        call("set_entitlement", [&] {
                            const uint32_t rank = random() % 3 ? kFairRank : 90 + random() % 3;
                            if (!has_ended[other_index]) {
                                set_entitlement(other, rank, Thread::kNormalWeight);
                            }
                        });
                        break;
                }
                work(random);
            }
            call("end", [&] { has_ended[i] = true; });
        }));
    }
    machine_.run(kSeconds);
    EXPECT_EQ(put - taken, semaphore.count);
}

// One who sleeps where it may not be any more wakes elsewhere.
TEST_P(Scheduler, SleepersMove) {
    constexpr unsigned kRounds = 300;
    Semaphore ask, answer;
    std::atomic<unsigned> misplaced{0};
    ModelThread& sleeper = machine_.add_thread([&](Random&) {
        for (unsigned round = 0; round < kRounds; round++) {
            call("take", [&] { return ask.take(Deadline::never()); });
            // Its affinity cannot change before it answers.
            if (!is_where_it_may_be(self())) misplaced++;
            call("put", [&] { answer.put(); });
        }
    });
    machine_.add_thread([&](Random& random) {
        for (unsigned round = 0; round < kRounds; round++) {
            call("move", [&] { set_affinity(sleeper, uint64_t{1} << random() % GetParam()); });
            work(random);
            call("ask", [&] { ask.put(); });
            call("take", [&] { return answer.take(Deadline::never()); });
        }
    });
    machine_.run(kSeconds);
    EXPECT_EQ(0u, misplaced);
}

// A CPU that two threads wake one after the other has not come to run the first when the second
// does. Who slept on it, or the idle thread, must not be charged for the time until then: all that
// come later would start behind it.
TEST_P(Scheduler, IdleTimeIsNobodys) {
    if (GetParam() < 2) GTEST_SKIP();
    constexpr uint64_t kIdleNs = 2'000'000'000, kTicksPerNs = 2;  // model_machine.cpp: tsc_to_ns()
    Semaphore never, wanted[2];
    uint64_t run_until[2] = {};
    for (unsigned i = 0; i < 2; i++) {
        machine_.add_thread([&, i](Random&) {
            call("move", [&] { set_affinity(self(), 2); });
            call("take", [&] { return wanted[i].take(Deadline::never()); });
            call("look", [&] { run_until[i] = self().key.order - kFirstVirtualTime; });
        });
    }
    machine_.add_thread([&](Random&) {
        call("move", [&] { set_affinity(self(), 1); });
        call("sleep", [&] { return never.take(Deadline::after(kIdleNs)); });
        call("put", [&] {
            wanted[0].put();
            wanted[1].put();
        });
    });
    machine_.run(kSeconds);
    for (const uint64_t order : run_until) EXPECT_LT(order, kIdleNs / 2 * kTicksPerNs);
}

// A semaphore that is used under the lock held locally where its home is the CPU.
struct HomeSemaphore {
    uint32_t home = kNoHome;
    Semaphore semaphore;
};

template <typename Function>
void call_at(HomeSemaphore& at, const char* name, Function function) {
    enter_kernel_at(at.home);
    self().doing = name;
    static_cast<void>(function());
    self().doing = "its own work";
    leave_kernel();
}

TEST_P(Scheduler, HomesMove) {
    constexpr unsigned kThreads = 12, kTokens = 5, kRounds = 300;
    std::vector<HomeSemaphore> places(kThreads);
    std::atomic<uint64_t> local_calls{0};
    for (unsigned i = 0; i < kTokens; i++) places[i * 2].semaphore.count = 1;
    for (unsigned i = 0; i < kThreads; i++) {
        machine_.add_thread([&places, &local_calls, i](Random& random) {
            for (unsigned round = 0; round < kRounds; round++) {
                HomeSemaphore& mine = places[i];
                call_at(mine, "take", [&] { return mine.semaphore.take(Deadline::never()); });
                work(random);
                HomeSemaphore& next = places[(i + 1) % kThreads];
                call_at(next, "put", [&] {
                    if (holds_lock_locally()) local_calls.fetch_add(1, std::memory_order_relaxed);
                    next.semaphore.put();
                });
                if (random() % 4 == 0) {
                    call("move", [&] { mine.home = current_cpu()->id; });
                }
                if (random() % 8 == 0) call("yield", [&] { yield(); });
            }
        });
    }
    machine_.run(kSeconds);
    uint64_t left = 0;
    for (const HomeSemaphore& place : places) left += place.semaphore.count;
    EXPECT_EQ(kTokens, left);
    if (GetParam() > 1) {
        EXPECT_GT(local_calls, 100u);
    }
}

// The same for one whom a wake-up under the lock held locally leaves on its CPU.
TEST_P(Scheduler, SleepersMoveFromHome) {
    constexpr unsigned kRounds = 300;
    HomeSemaphore ask;
    Semaphore answer;
    std::atomic<unsigned> misplaced{0};
    ModelThread& sleeper = machine_.add_thread([&](Random&) {
        for (unsigned round = 0; round < kRounds; round++) {
            call_at(ask, "take", [&] { return ask.semaphore.take(Deadline::never()); });
            if (!is_where_it_may_be(self())) misplaced++;
            call("put", [&] { answer.put(); });
        }
    });
    machine_.add_thread([&](Random& random) {
        for (unsigned round = 0; round < kRounds; round++) {
            call("move", [&] {
                ask.home = random() % GetParam();
                set_affinity(self(), uint64_t{1} << ask.home);
                set_affinity(sleeper, uint64_t{1} << random() % GetParam());
            });
            work(random);
            call_at(ask, "ask", [&] { ask.semaphore.put(); });
            call("take", [&] { return answer.take(Deadline::never()); });
        }
    });
    machine_.run(kSeconds);
    EXPECT_EQ(0u, misplaced);
}

// Interrupts whose handlers need the lock alone, and such as do not, come while threads sleep under
// the lock held locally. Homes move meanwhile: nobody goes on at one that he has left.
uint64_t alone_interrupts, local_interrupts[MAX_CPUS];  // guarded by the kernel lock; each CPU's
std::function<void()> on_alone_interrupt;

struct Vectors {
    uint8_t alone, local;
};
const Vectors& vectors() {
    static const Vectors registered = {
        register_interrupt_handler([](void*) { on_alone_interrupt(); }, nullptr),
        register_interrupt_handler([](void*) { local_interrupts[current_cpu()->id]++; }, nullptr,
                                   LockNeeded::kLocally)};
    return registered;
}

TEST_P(Scheduler, HomesMoveAtInterrupts) {
    constexpr unsigned kThreads = 8, kRounds = 300;
    const Vectors& vector = vectors();
    std::vector<HomeSemaphore> places(kThreads);
    std::atomic<unsigned> astray{0};
    alone_interrupts = 0;
    on_alone_interrupt = [&] {
        alone_interrupts++;
        for (HomeSemaphore& place : places) {
            place.home = (place.home + 1) % GetParam();
            place.semaphore.changed.wake_all();
        }
    };
    for (HomeSemaphore& place : places) place.home = 0;
    places[0].semaphore.count = places[kThreads / 2].semaphore.count = 1;
    for (unsigned i = 0; i < kThreads; i++) {
        machine_.add_thread([&, i](Random& random) {
            HomeSemaphore& mine = places[i];
            for (unsigned round = 0; round < kRounds; round++) {
                call_at(mine, "take", [&] {
                    if (random() % 4 == 0) {
                        raise_interrupt(vector.alone);
                        raise_interrupt(vector.local);
                    }
                    WaitEntry entry;
                    (void)wait_with(entry, mine.semaphore.changed, Deadline::never(), [&] {
                        if (holds_lock_locally() && mine.home != current_cpu()->id) astray++;
                        return mine.semaphore.count != 0;
                    });
                    mine.semaphore.count--;
                });
                work(random);
                call("interrupt", [&] {
                    Cpu& cpu = *cpus[random() % GetParam()];
                    raise_interrupt_on(cpu, random() % 2 ? vector.alone : vector.local);
                });
                HomeSemaphore& next = places[(i + 1) % kThreads];
                call_at(next, "put", [&] { next.semaphore.put(); });
            }
        });
    }
    machine_.run(kSeconds);
    EXPECT_EQ(0u, astray);
    EXPECT_GT(alone_interrupts, 100u);
}

INSTANTIATE_TEST_SUITE_P(Cpus, Scheduler, ::testing::Values(1u, 2u, 4u));

}  // namespace
}  // namespace coracle::model
