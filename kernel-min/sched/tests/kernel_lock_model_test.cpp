// The kernel lock with CPUs that do nothing else, and so meet at it all the time.
#include <asm/prctl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-min/sched/tests/model_machine.h"

namespace coracle::model {
namespace {

class KernelLock : public ::testing::TestWithParam<unsigned> {
  protected:
    static LockHold hold() { return current_cpu()->lock_hold; }

    // Runs `program` on every CPU.
    void run(std::function<void(Random&)> program) {
        const unsigned count = GetParam();
        std::vector<Cpu> own(count);
        std::vector<Thread> threads(count);
        std::vector<std::thread> hosts;
        for (unsigned i = 0; i < count; i++) {
            own[i].self = cpus[i] = &own[i];
            own[i].id = i;
            own[i].current = &threads[i];
        }
        cpu_count = count;
        for (unsigned i = 0; i < count; i++) {
            hosts.emplace_back([&, i] {
                syscall(SYS_arch_prctl, ARCH_SET_GS, &own[i]);
                Random random(i + 1);
                program(random);
            });
        }
        for (std::thread& host : hosts) host.join();
    }
};

TEST_P(KernelLock, OneAtATime) {
    constexpr unsigned kRounds = 4'000;
    uint64_t count = 0;  // no atomic: the sanitizer watches it
    run([&](Random& random) {
        for (unsigned round = 0; round < kRounds; round++) {
            lock_kernel();
            EXPECT_EQ(LockHold::kAlone, hold());
            count++;
            // Long enough, now and then, for those that wait to halt.
            if (random() % 64 == 0) usleep(100);
            unlock_kernel();
            EXPECT_EQ(LockHold::kNone, hold());
            if (random() % 16 == 0) sched_yield();
        }
    });
    EXPECT_EQ(uint64_t{kRounds} * GetParam(), count);
}

// A section is nothing where the lock is held already.
TEST_P(KernelLock, SectionsNest) {
    uint64_t count = 0;
    run([&](Random&) {
        for (unsigned round = 0; round < 1000; round++) {
            KernelSection outer;
            {
                KernelSection inner;
                count++;
            }
            EXPECT_EQ(LockHold::kAlone, hold());
            count++;
        }
    });
    EXPECT_EQ(2000u * GetParam(), count);
}

// Holders of the lock locally change what is their own and read what is shared; one that holds it
// alone changes all. No atomics: the sanitizer watches.
TEST_P(KernelLock, LocallyOrAlone) {
    constexpr unsigned kRounds = 4'000;
    std::vector<uint64_t> own(GetParam());
    std::atomic<uint64_t> rounds_of_own{0}, rounds_alone{0};
    uint64_t shared = 0, seen = 0;
    run([&](Random& random) {
        const unsigned id = current_cpu()->id;
        for (unsigned round = 0; round < kRounds; round++) {
            lock_kernel_locally();
            const uint64_t before = shared;
            own[id]++;
            rounds_of_own.fetch_add(1, std::memory_order_relaxed);
            if (random() % 128 == 0) usleep(100);
            EXPECT_EQ(before, shared);
            if (random() % 8 == 0) {
                become_alone();
                EXPECT_EQ(LockHold::kAlone, hold());
                shared++;
                rounds_alone.fetch_add(1, std::memory_order_relaxed);
                for (uint64_t count : own) seen += count;
                if (random() % 2) {
                    hold_locally();
                    own[id]++;
                    rounds_of_own.fetch_add(1, std::memory_order_relaxed);
                }
            }
            unlock_kernel();
            EXPECT_EQ(LockHold::kNone, hold());
            if (random() % 16 == 0) sched_yield();
        }
    });
    uint64_t sum = 0;
    for (uint64_t count : own) sum += count;
    EXPECT_EQ(rounds_of_own, sum);
    EXPECT_EQ(rounds_alone, shared);
    EXPECT_GT(seen, 0u);
}

TEST_P(KernelLock, SectionMakesLocalAlone) {
    uint64_t count = 0;
    run([&](Random&) {
        for (unsigned round = 0; round < 1000; round++) {
            KernelSection outer(LockNeeded::kLocally);
            {
                KernelSection inner;
                EXPECT_EQ(LockHold::kAlone, hold());
                count++;
            }
            EXPECT_EQ(LockHold::kAlone, hold());
            count++;
        }
    });
    EXPECT_EQ(2000u * GetParam(), count);
}

// Who shares something under the lock held locally has a lock for that.
TEST_P(KernelLock, LocalLocksGuard) {
    LocalLock lock;
    uint64_t count = 0;
    run([&](Random& random) {
        for (unsigned round = 0; round < 4000; round++) {
            random() % 16 == 0 ? lock_kernel() : lock_kernel_locally();
            {
                LocalLockGuard guard(lock);
                count++;
            }
            unlock_kernel();
        }
    });
    EXPECT_EQ(4000u * GetParam(), count);
}

INSTANTIATE_TEST_SUITE_P(Cpus, KernelLock, ::testing::Values(2u, 4u, 7u));

}  // namespace
}  // namespace coracle::model
