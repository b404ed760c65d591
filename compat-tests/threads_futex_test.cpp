// futex(2) and futex_waitv(2), by the calls themselves.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <functional>
#include <thread>
#include <vector>

#include "threads_support.h"

namespace {

// Threads that have said so are about to sleep: wakes until as many were woken as should be.
long wake_surely(void* word, int operation, int wanted, uint32_t bits = 0) {
    long woken = 0;
    for (int i = 0; i < 200'000 && woken < wanted; i++) {
        const long now = futex(word, operation, static_cast<uint32_t>(wanted - woken), nullptr,
                               nullptr, bits);
        if (now < 0) return now;
        woken += now;
        if (woken < wanted) usleep(100);
    }
    return woken;
}

TEST(ThreadsFutex, WaitComparesAndWakeCounts) {
    Word word{5};
    EXPECT_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT, 4));
    EXPECT_EQ(futex(&word, FUTEX_WAKE, INT_MAX), 0);
    std::atomic<int> ended{0};
    {
        Threads threads;
        for (int i = 0; i < 5; i++) {
            threads.start([&] {
                EXPECT_EQ(futex(&word, FUTEX_WAIT_PRIVATE, 5), 0);
                ended++;
            });
        }
        EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_PRIVATE, 3), 3);
        EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_PRIVATE, 2), 2);
    }
    EXPECT_EQ(ended, 5);
}

TEST(ThreadsFutex, BadArguments) {
    alignas(8) char bytes[8] = {};
    EXPECT_ERRNO(EINVAL, futex(bytes + 1, FUTEX_WAIT, 0));
    EXPECT_ERRNO(EINVAL, futex(bytes + 2, FUTEX_WAKE, 1));
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_WAIT_BITSET, 0, nullptr, nullptr, 0));
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_WAKE_BITSET, 1, nullptr, nullptr, 0));
    EXPECT_ERRNO(ENOSYS, futex(bytes, 127, 0));
    EXPECT_ERRNO(ENOSYS, futex(bytes, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 0));
    EXPECT_ERRNO(ENOSYS, futex(bytes, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0));
    EXPECT_ERRNO(ENOSYS, futex(bytes, FUTEX_FD, 0));
    const timespec bad = {0, 1'000'000'000}, negative = {-1, 0};
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_WAIT, 0, &bad));
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_WAIT, 1, &negative));
    EXPECT_ERRNO(EFAULT, futex(bytes, FUTEX_WAIT, 0, reinterpret_cast<void*>(8)));
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_REQUEUE, 1, second_count(~0ul), bytes));
    EXPECT_ERRNO(EINVAL, futex(bytes, FUTEX_CMP_REQUEUE, ~0u, second_count(1), bytes));
}

TEST(ThreadsFutex, HostileWords) {
    void* page = mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void* kernel = reinterpret_cast<void*>(0xffffffff80000000);
    for (void* word : {page, static_cast<void*>(nullptr), kernel}) {
        EXPECT_ERRNO(EFAULT, futex(word, FUTEX_WAIT, 0));
        EXPECT_ERRNO(EFAULT, futex(word, FUTEX_WAIT_PRIVATE, 0));
        EXPECT_ERRNO(EFAULT, futex(word, FUTEX_WAKE, 1));
        EXPECT_ERRNO(EFAULT, futex(word, FUTEX_LOCK_PI, 0));
        EXPECT_ERRNO(EFAULT, futex(word, FUTEX_UNLOCK_PI_PRIVATE, 0));
    }
    // A private word is not looked at before it must be.
    EXPECT_EQ(futex(page, FUTEX_WAKE_PRIVATE, 1), 0);
    EXPECT_ERRNO(EFAULT, futex(kernel, FUTEX_WAKE_PRIVATE, 1));
    munmap(page, 4096);
}

TEST(ThreadsFutex, PrivateAndSharedDoNotMeet) {
    Word word{0};
    Threads threads;
    threads.start([&] { EXPECT_EQ(futex(&word, FUTEX_WAIT_PRIVATE, 0), 0); });
    EXPECT_TRUE(others_sleep(1));
    EXPECT_EQ(futex(&word, FUTEX_WAKE, 1), 0);
    EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_PRIVATE, 1), 1);
}

TEST(ThreadsFutex, TwoMappingsOfOneFileMeet) {
    const int fd = memfd_create("words", 0);
    ASSERT_EQ(ftruncate(fd, 3 * 4096), 0);
    const auto map = [fd](off_t offset, size_t size) {
        return static_cast<char*>(
            mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset));
    };
    char* all = map(0, 3 * 4096);
    char* second_page = map(4096, 4096);
    Threads threads;
    threads.start([&] { EXPECT_EQ(futex(all + 4096 + 8, FUTEX_WAIT, 0), 0); });
    EXPECT_TRUE(others_sleep(1));
    EXPECT_EQ(futex(second_page + 12, FUTEX_WAKE, 1), 0);
    EXPECT_EQ(futex(second_page + 8, FUTEX_WAKE_PRIVATE, 1), 0);
    EXPECT_EQ(wake_surely(second_page + 8, FUTEX_WAKE, 1), 1);
    close(fd);
}

TEST(ThreadsFutex, BitsChoose) {
    Word word{0};
    std::atomic<uint32_t> woken{0};
    {
        Threads threads;
        for (uint32_t bits : {1u, 2u, 4u}) {
            threads.start([&, bits] {
                EXPECT_EQ(futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 0, nullptr, nullptr, bits), 0);
                woken |= bits;
            });
        }
        EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_BITSET_PRIVATE, 1, 2), 1);
        while (woken == 0) usleep(100);
        EXPECT_EQ(woken, 2u);
        EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_BITSET_PRIVATE, 2, 5), 2);
    }
    EXPECT_EQ(woken, 7u);
}

TEST(ThreadsFutex, TimesOnBothClocks) {
    Word word{0};
    const timespec ten_ms = {0, 10'000'000};
    timespec start = after_ms(CLOCK_MONOTONIC, 0);
    EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_PRIVATE, 0, &ten_ms));
    timespec end = after_ms(CLOCK_MONOTONIC, 0);
    EXPECT_GE((end.tv_sec - start.tv_sec) * 1'000'000'000 + end.tv_nsec - start.tv_nsec,
              10'000'000);
    timespec monotonic = after_ms(CLOCK_MONOTONIC, 10), real = after_ms(CLOCK_REALTIME, 10);
    EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET, 0, &monotonic, nullptr, 1));
    EXPECT_ERRNO(ETIMEDOUT,
                 futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &real, nullptr, 1));
    const timespec past = {1, 0};
    EXPECT_ERRNO(ETIMEDOUT, futex(&word, FUTEX_WAIT_BITSET, 0, &past, nullptr, 1));
    EXPECT_ERRNO(EAGAIN, futex(&word, FUTEX_WAIT_BITSET, 1, &past, nullptr, 1));
}

TEST(ThreadsFutex, SignalsInterruptOrRestart) {
    static Word word{0};
    static std::atomic<int> handled{0};
    struct sigaction action = {};
    action.sa_handler = [](int) { handled++; };
    sigaction(SIGUSR1, &action, nullptr);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &action, nullptr);
    std::atomic<bool> interrupted{false};
    std::thread thread([&] {
        EXPECT_ERRNO(EINTR, futex(&word, FUTEX_WAIT_PRIVATE, 0));
        sigset_t first;
        sigemptyset(&first);
        sigaddset(&first, SIGUSR1);
        pthread_sigmask(SIG_BLOCK, &first, nullptr);
        interrupted = true;
        EXPECT_EQ(futex(&word, FUTEX_WAIT_PRIVATE, 0), 0);
    });
    while (!interrupted) {
        pthread_kill(thread.native_handle(), SIGUSR1);
        usleep(1000);
    }
    EXPECT_TRUE(others_sleep(1));
    const int before = handled;
    pthread_kill(thread.native_handle(), SIGUSR2);
    while (handled == before) usleep(100);
    EXPECT_EQ(wake_surely(&word, FUTEX_WAKE_PRIVATE, 1), 1);
    thread.join();
}

TEST(ThreadsFutex, RequeueMovesTheRest) {
    Word condition{0}, lock{0};
    std::atomic<int> waiting{0}, ended{0};
    EXPECT_ERRNO(EAGAIN,
                 futex(&condition, FUTEX_CMP_REQUEUE_PRIVATE, 1, second_count(1), &lock, 7));
    Threads threads;
    for (int i = 0; i < 6; i++) {
        threads.start([&] {
            waiting++;
            EXPECT_EQ(futex(&condition, FUTEX_WAIT_PRIVATE, 0), 0);
            ended++;
        });
    }
    while (waiting < 6) usleep(100);
    EXPECT_TRUE(others_sleep(6));
    EXPECT_EQ(futex(&condition, FUTEX_CMP_REQUEUE_PRIVATE, 1, second_count(3), &lock, 0), 4);
    EXPECT_EQ(futex(&lock, FUTEX_WAKE_PRIVATE, INT_MAX), 3);
    EXPECT_EQ(futex(&condition, FUTEX_REQUEUE_PRIVATE, 0, second_count(INT_MAX), &lock), 2);
    EXPECT_EQ(futex(&condition, FUTEX_WAKE_PRIVATE, INT_MAX), 0);
    EXPECT_EQ(futex(&lock, FUTEX_WAKE_PRIVATE, INT_MAX), 2);
}

uint32_t wake_op(uint32_t operation, uint32_t operand, uint32_t comparison, uint32_t value) {
    return (operation & 15) << 28 | (comparison & 15) << 24 | (operand & 4095) << 12 |
           (value & 4095);
}

TEST(ThreadsFutex, WakeOperations) {
    Word word{0}, other{0};
    const auto apply = [&](uint32_t start, uint32_t encoded) {
        other = start;
        EXPECT_EQ(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, second_count(1), &other, encoded), 0);
        return other.load();
    };
    EXPECT_EQ(apply(5, wake_op(FUTEX_OP_SET, 9, FUTEX_OP_CMP_EQ, 0)), 9u);
    EXPECT_EQ(apply(5, wake_op(FUTEX_OP_ADD, 4095, FUTEX_OP_CMP_EQ, 0)), 4u);  // -1
    EXPECT_EQ(apply(5, wake_op(FUTEX_OP_OR, 2, FUTEX_OP_CMP_NE, 0)), 7u);
    EXPECT_EQ(apply(7, wake_op(FUTEX_OP_ANDN, 2, FUTEX_OP_CMP_LT, 0)), 5u);
    EXPECT_EQ(apply(7, wake_op(FUTEX_OP_XOR, 1, FUTEX_OP_CMP_GE, 0)), 6u);
    EXPECT_EQ(apply(1, wake_op(FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT, 31, FUTEX_OP_CMP_EQ, 0)),
              0x80000001u);
    EXPECT_ERRNO(ENOSYS, futex(&word, FUTEX_WAKE_OP, 1, second_count(1), &other,
                               wake_op(5, 0, FUTEX_OP_CMP_EQ, 0)));
    EXPECT_ERRNO(ENOSYS, futex(&word, FUTEX_WAKE_OP, 1, second_count(1), &other,
                               wake_op(FUTEX_OP_SET, 3, 6, 0)));
    EXPECT_EQ(other, 3u);  // changed before the comparison was found to be unknown
    Threads threads;
    other = 8;
    threads.start([&] { EXPECT_EQ(futex(&other, FUTEX_WAIT_PRIVATE, 8), 0); });
    EXPECT_TRUE(others_sleep(1));
    EXPECT_EQ(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, second_count(1), &other,
                    wake_op(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, 100)),
              0);
    EXPECT_EQ(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, second_count(1), &other,
                    wake_op(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_GT, 8)),
              1);
}

// Every operation on the word is one step for the others.
TEST(ThreadsFutex, WakeOpIsAtomic) {
    Word word{0}, counter{0};
    constexpr int kTimes = 2000;
    {
        Threads threads;
        for (int i = 0; i < 4; i++) {
            threads.start([&] {
                for (int n = 0; n < kTimes; n++) {
                    futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, second_count(1), &counter,
                          wake_op(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_LT, 0));
                    counter++;
                }
            });
        }
    }
    EXPECT_EQ(counter, 8u * kTimes);
}

// --- futex_waitv

long waitv(futex_waitv* waiters, unsigned n, unsigned flags = 0, const timespec* time = nullptr,
           int clock = CLOCK_MONOTONIC) {
    return syscall(SYS_futex_waitv, waiters, n, flags, time, clock);
}

TEST(ThreadsFutex, WaitvArguments) {
    Word word{0};
    futex_waitv waiter = {0, reinterpret_cast<uintptr_t>(&word), FUTEX_32 | FUTEX_PRIVATE_FLAG, 0};
    if (waitv(&waiter, 0) == -1 && errno == ENOSYS) GTEST_SKIP() << "an older kernel";
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 0));
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 129));
    EXPECT_ERRNO(EINVAL, waitv(nullptr, 1));
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 1, 1));
    EXPECT_ERRNO(EFAULT, waitv(reinterpret_cast<futex_waitv*>(8), 1));
    const timespec time = after_ms(CLOCK_MONOTONIC, 10);
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 1, 0, &time, CLOCK_BOOTTIME));
    EXPECT_ERRNO(ETIMEDOUT, waitv(&waiter, 1, 0, &time));
    waiter.val = 1;
    EXPECT_ERRNO(EAGAIN, waitv(&waiter, 1));
    waiter.flags = FUTEX_PRIVATE_FLAG;
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 1));
    waiter.flags = FUTEX_32 | 0x40;
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 1));
    waiter.flags = FUTEX_32;
    waiter.__reserved = 1;
    EXPECT_ERRNO(EINVAL, waitv(&waiter, 1));
}

TEST(ThreadsFutex, WaitvTellsWhich) {
    Word words[FUTEX_WAITV_MAX] = {};
    futex_waitv waiters[FUTEX_WAITV_MAX] = {};
    for (int i = 0; i < FUTEX_WAITV_MAX; i++) {
        waiters[i].uaddr = reinterpret_cast<uintptr_t>(&words[i]);
        waiters[i].flags = FUTEX_32 | (i % 2 ? FUTEX_PRIVATE_FLAG : 0);
    }
    if (waitv(waiters, 0) == -1 && errno == ENOSYS) GTEST_SKIP() << "an older kernel";
    for (int chosen : {0, 77, 127}) {
        std::atomic<long> answer{-2};
        std::thread thread([&] { answer = waitv(waiters, FUTEX_WAITV_MAX); });
        EXPECT_EQ(wake_surely(&words[chosen], chosen % 2 ? FUTEX_WAKE_PRIVATE : FUTEX_WAKE, 1), 1);
        thread.join();
        EXPECT_EQ(answer, chosen);
        EXPECT_EQ(futex(&words[1], FUTEX_WAKE_PRIVATE, 1), 0);  // nothing is left behind
    }
}

}  // namespace
