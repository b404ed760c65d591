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
    // Runs `program` on every CPU.
    void run(std::function<void(Random&)> program) {
        const unsigned count = GetParam();
        std::vector<Cpu> own(count);
        std::vector<std::thread> hosts;
        for (unsigned i = 0; i < count; i++) {
            own[i].self = cpus[i] = &own[i];
            own[i].id = i;
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
            EXPECT_TRUE(current_cpu()->holds_kernel_lock);
            count++;
            // Long enough, now and then, for those that wait to halt.
            if (random() % 64 == 0) usleep(100);
            unlock_kernel();
            EXPECT_FALSE(current_cpu()->holds_kernel_lock);
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
            EXPECT_TRUE(current_cpu()->holds_kernel_lock);
            count++;
        }
    });
    EXPECT_EQ(2000u * GetParam(), count);
}

INSTANTIATE_TEST_SUITE_P(Cpus, KernelLock, ::testing::Values(2u, 4u, 7u));

}  // namespace
}  // namespace coracle::model
