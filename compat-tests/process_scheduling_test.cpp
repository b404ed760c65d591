// Priorities, policies, affinity, futexes and restartable sequences of a single thread.
#include <errno.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace {

constexpr int kNobody = 0x3ffffffe;

TEST(ProcessScheduling, Nice) {
    errno = 0;
    const int old = getpriority(PRIO_PROCESS, 0);
    ASSERT_EQ(0, errno);
    ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, 100)) << "out of range is brought into it";
    EXPECT_EQ(19, getpriority(PRIO_PROCESS, getpid()));
    EXPECT_EQ(1, syscall(SYS_getpriority, PRIO_PROCESS, 0)) << "the call counts from 20 down";
    EXPECT_EQ(-1, getpriority(static_cast<__priority_which_t>(3), 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, getpriority(PRIO_PROCESS, kNobody));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, setpriority(PRIO_PROCESS, kNobody, 0));
    EXPECT_EQ(ESRCH, errno);
    if (geteuid() == 0) {
        EXPECT_EQ(0, setpriority(PRIO_PROCESS, 0, old));
    }
}

TEST(ProcessScheduling, Policies) {
    EXPECT_EQ(99, sched_get_priority_max(SCHED_FIFO));
    EXPECT_EQ(1, sched_get_priority_min(SCHED_RR));
    EXPECT_EQ(0, sched_get_priority_max(SCHED_OTHER));
    EXPECT_EQ(-1, sched_get_priority_max(77));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(SCHED_OTHER, sched_getscheduler(0));
    EXPECT_EQ(-1, sched_getscheduler(kNobody));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, sched_getscheduler(-1));
    EXPECT_EQ(EINVAL, errno);
    sched_param param = {5};
    EXPECT_EQ(-1, sched_setscheduler(0, SCHED_OTHER, &param));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, sched_setscheduler(0, SCHED_OTHER, nullptr));
    EXPECT_EQ(EINVAL, errno);
    param.sched_priority = 0;
    EXPECT_EQ(0, sched_setscheduler(0, SCHED_BATCH, &param));
    EXPECT_EQ(SCHED_BATCH, sched_getscheduler(0));
    EXPECT_EQ(0, sched_setscheduler(0, SCHED_OTHER, &param));
    ASSERT_EQ(0, sched_getparam(0, &param));
    EXPECT_EQ(0, param.sched_priority);
    EXPECT_EQ(-1, sched_getparam(0, nullptr));
    EXPECT_EQ(EINVAL, errno);
    timespec interval;
    EXPECT_EQ(0, sched_rr_get_interval(0, &interval));
    EXPECT_EQ(0, sched_yield());
}

TEST(ProcessScheduling, Affinity) {
    unsigned long mask[16] = {};
    const long size = syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
    ASSERT_GT(size, 0);
    EXPECT_EQ(0, size % 8);
    EXPECT_NE(0ul, mask[0]);
    EXPECT_EQ(0, syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask));
    const unsigned long none[16] = {};
    EXPECT_EQ(-1, syscall(SYS_sched_setaffinity, 0, sizeof(none), none));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_sched_getaffinity, 0, 7, mask));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_sched_getaffinity, kNobody, sizeof(mask), mask));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_sched_getaffinity, 0, sizeof(mask), 8));
    EXPECT_EQ(EFAULT, errno);
    unsigned cpu = 999, node = 999;
    ASSERT_EQ(0, syscall(SYS_getcpu, &cpu, &node, nullptr));
    EXPECT_TRUE(mask[cpu / 64] >> (cpu % 64) & 1);
    EXPECT_EQ(-1, syscall(SYS_getcpu, 8, nullptr, nullptr));
    EXPECT_EQ(EFAULT, errno);
}

TEST(ProcessScheduling, IoPriority) {
    EXPECT_GE(syscall(SYS_ioprio_get, 1, 0), 0);
    EXPECT_EQ(-1, syscall(SYS_ioprio_get, 9, 0));
    EXPECT_EQ(EINVAL, errno);
    ASSERT_EQ(0, syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 7));
    EXPECT_EQ(2 << 13 | 7, syscall(SYS_ioprio_get, 1, 0));
    EXPECT_EQ(-1, syscall(SYS_ioprio_set, 1, 0, 5 << 13));
    EXPECT_EQ(EINVAL, errno);
}

class Futex : public ::testing::Test {
  protected:
    static long call(const void* word, int operation, unsigned value = 0,
                     const void* time = nullptr, const void* word2 = nullptr, unsigned value3 = 0) {
        return syscall(SYS_futex, word, operation, value, time, word2, value3);
    }
    uint32_t word_ = 7, other_ = 3;
};

TEST_F(Futex, WakesNobody) {
    EXPECT_EQ(0, call(&word_, FUTEX_WAKE, 10));
    EXPECT_EQ(0, call(&word_, FUTEX_WAKE_PRIVATE, 10));
    EXPECT_EQ(0, call(&word_, FUTEX_WAKE_BITSET, 10, nullptr, nullptr, 1));
    EXPECT_EQ(-1, call(&word_, FUTEX_WAKE_BITSET, 10, nullptr, nullptr, 0));
    EXPECT_EQ(EINVAL, errno);
}

TEST_F(Futex, WaitChecksTheValue) {
    EXPECT_EQ(-1, call(&word_, FUTEX_WAIT, 8));
    EXPECT_EQ(EAGAIN, errno);
    EXPECT_EQ(-1, call(&word_, FUTEX_WAIT_BITSET, 7, nullptr, nullptr, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, call(reinterpret_cast<char*>(&word_) + 1, FUTEX_WAIT, 7));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, call(reinterpret_cast<void*>(0x1000), FUTEX_WAIT, 7));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, call(&word_, 99, 7));
    EXPECT_EQ(ENOSYS, errno);
}

TEST_F(Futex, WaitTimesOut) {
    timespec limit = {0, 3'000'000};
    EXPECT_EQ(-1, call(&word_, FUTEX_WAIT_PRIVATE, 7, &limit));
    EXPECT_EQ(ETIMEDOUT, errno);
    limit = {0, 1'000'000'000};
    EXPECT_EQ(-1, call(&word_, FUTEX_WAIT, 7, &limit));
    EXPECT_EQ(EINVAL, errno);
    for (bool is_realtime : {false, true}) {
        clock_gettime(is_realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC, &limit);
        const int flag = is_realtime ? FUTEX_CLOCK_REALTIME : 0;
        EXPECT_EQ(-1, call(&word_, FUTEX_WAIT_BITSET | flag, 7, &limit, nullptr, ~0u));
        EXPECT_EQ(ETIMEDOUT, errno);
    }
}

TEST_F(Futex, WakeOpChangesTheSecondWord) {
    const unsigned add5_if_3 = FUTEX_OP(FUTEX_OP_ADD, 5, FUTEX_OP_CMP_EQ, 3);
    EXPECT_EQ(0, call(&word_, FUTEX_WAKE_OP, 1, reinterpret_cast<void*>(1), &other_, add5_if_3));
    EXPECT_EQ(8u, other_);
    const unsigned set_bit4 =
        FUTEX_OP(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 4, FUTEX_OP_CMP_GT, 100);
    EXPECT_EQ(0, call(&word_, FUTEX_WAKE_OP, 1, reinterpret_cast<void*>(1), &other_, set_bit4));
    EXPECT_EQ(24u, other_);
}

TEST_F(Futex, RequeueComparesFirst) {
    EXPECT_EQ(0, call(&word_, FUTEX_REQUEUE, 1, reinterpret_cast<void*>(1), &other_));
    EXPECT_EQ(0, call(&word_, FUTEX_CMP_REQUEUE, 1, reinterpret_cast<void*>(1), &other_, 7));
    EXPECT_EQ(-1, call(&word_, FUTEX_CMP_REQUEUE, 1, reinterpret_cast<void*>(1), &other_, 8));
    EXPECT_EQ(EAGAIN, errno);
}

TEST(ProcessScheduling, RobustList) {
    uint64_t head = 0;
    size_t size = 0;
    ASSERT_EQ(0, syscall(SYS_get_robust_list, 0, &head, &size));
    EXPECT_EQ(24u, size);
    EXPECT_EQ(-1, syscall(SYS_set_robust_list, head, 23));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, syscall(SYS_set_robust_list, head, 24));
    EXPECT_EQ(-1, syscall(SYS_get_robust_list, kNobody, &head, &size));
    EXPECT_EQ(ESRCH, errno);
}

TEST(ProcessScheduling, Membarrier) {
    const long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
    ASSERT_GT(commands, 0);
    EXPECT_NE(0, commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
    EXPECT_EQ(0, syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
    EXPECT_EQ(-1, syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 1, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_membarrier, 1 << 20, 0, 0));
    EXPECT_EQ(EINVAL, errno);
}

TEST(ProcessScheduling, RestartableSequenceRegistration) {
    // glibc may have registered its own area: then a second one is refused.
    alignas(32) static uint32_t area[8];
    const unsigned signature = 0x53053053;
    EXPECT_EQ(-1, syscall(SYS_rseq, area, 32, 2, signature));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_rseq, reinterpret_cast<char*>(area) + 4, 32, 0, signature));
    EXPECT_EQ(EINVAL, errno);
    const long answer = syscall(SYS_rseq, area, 32, 0, signature);
    if (answer == -1) {
        EXPECT_EQ(EINVAL, errno);
        return;
    }
    EXPECT_LT(area[1], 4096u) << "the CPU's number";
    EXPECT_EQ(-1, syscall(SYS_rseq, area, 32, 0, signature));
    EXPECT_EQ(EBUSY, errno);
    EXPECT_EQ(-1, syscall(SYS_rseq, area, 32, 1, signature + 1));
    EXPECT_EQ(EPERM, errno);
    EXPECT_EQ(0, syscall(SYS_rseq, area, 32, 1, signature));
}

TEST(ProcessScheduling, ThreadAddress) {
    int word = 0;
    EXPECT_EQ(syscall(SYS_gettid), syscall(SYS_set_tid_address, &word));
    syscall(SYS_set_tid_address, nullptr);
}

TEST(ProcessScheduling, KcmpComparesItself) {
    EXPECT_EQ(0, syscall(SYS_kcmp, getpid(), getpid(), 1 /* KCMP_VM */, 0, 0));
    EXPECT_EQ(0, syscall(SYS_kcmp, getpid(), getpid(), 0 /* KCMP_FILE */, 1, 1));
    EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), getpid(), 0, 1, 77777));
    EXPECT_EQ(EBADF, errno);
    EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), getpid(), 99, 0, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_kcmp, getpid(), kNobody, 1, 0, 0));
    EXPECT_EQ(ESRCH, errno);
}

TEST(ProcessScheduling, ThreadPointer) {
    constexpr int kSetFs = 0x1002, kGetFs = 0x1003, kGetGs = 0x1004;
    uint64_t base = 0, own;
    ASSERT_EQ(0, syscall(SYS_arch_prctl, kGetFs, &base));
    asm("mov %%fs:0, %0" : "=r"(own));
    EXPECT_EQ(own, base) << "the thread's control block begins with its own address";
    EXPECT_EQ(0, syscall(SYS_arch_prctl, kSetFs, base));
    EXPECT_EQ(-1, syscall(SYS_arch_prctl, kSetFs, 0xffffffff80000000));
    EXPECT_EQ(EPERM, errno);
    EXPECT_EQ(-1, syscall(SYS_arch_prctl, kGetFs, 8));
    EXPECT_EQ(EFAULT, errno);
    ASSERT_EQ(0, syscall(SYS_arch_prctl, kGetGs, &base));
    EXPECT_EQ(0u, base);
    EXPECT_EQ(-1, syscall(SYS_arch_prctl, 0x7777, 0));
    EXPECT_EQ(EINVAL, errno);
}

}  // namespace
