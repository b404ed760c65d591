// Restartable sequences (rseq(2)): the area that glibc registers for each thread, sequences that
// the kernel aborts, and what it refuses. See threads_names_test for the CPU's number after a move.
#include <gtest/gtest.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <signal.h>
#include <sys/rseq.h>
#include <ucontext.h>

#include "threads_support.h"

namespace {

struct Area {  // struct rseq
    uint32_t cpu_id_start, cpu_id;
    uint64_t sequence;
    uint32_t flags, padding[3];
};

volatile Area* own_area() {
    char* thread_pointer;
    asm("mov %%fs:0, %0" : "=r"(thread_pointer));
    return reinterpret_cast<volatile Area*>(thread_pointer + __rseq_offset);
}

// Spins in a sequence until it is aborted, or until *may_end. True: it was aborted.
// Its start and its abort address are told before.
bool spin_in_sequence(volatile Area* area, const std::atomic<bool>* may_end,
                      std::atomic<bool>* is_inside, std::atomic<uint64_t>* abort_address) {
    bool aborted = false;
    asm volatile(R"(
        .pushsection .data.rel.rseq_cs, "aw"
        .balign 32
    9:  .long 0, 0
        .quad 1f, 2f - 1f, 4f
        .popsection
        lea 4f(%%rip), %%rax
        mov %%rax, (%4)
        lea 9b(%%rip), %%rax
        mov %%rax, 8(%1)
    1:  movb $1, (%3)
        pause
        cmpb $0, (%2)
        je 1b
    2:  jmp 5f
        .long 0x53053053
    4:  movb $1, %0
    5:
    )"
                 : "+m"(aborted)
                 : "r"(area), "r"(may_end), "r"(is_inside), "r"(abort_address)
                 : "rax", "memory", "cc");
    return aborted;
}

// A thread that spins in a sequence.
struct Spinner {
    std::atomic<bool> may_end{false}, is_inside{false}, has_ended{false}, aborted{false};
    std::atomic<uint64_t> abort_address{0}, left_in_area{1};
    std::thread thread;

    // On one CPU, if that is not -1.
    explicit Spinner(int on_cpu = -1) {
        thread = std::thread([this, on_cpu] {
            if (on_cpu != -1) {
                cpu_set_t one;
                CPU_ZERO(&one);
                CPU_SET(on_cpu, &one);
                EXPECT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
            }
            aborted = spin_in_sequence(own_area(), &may_end, &is_inside, &abort_address);
            left_in_area = own_area()->sequence;
            has_ended = true;
            while (!may_end) usleep(100);  // there for signals that come late
        });
        while (!is_inside && !has_ended) usleep(100);
    }
    ~Spinner() {
        may_end = true;
        thread.join();
    }
    bool is_aborted() {
        return eventually([this] { return has_ended.load(); }) && aborted;
    }
};

std::vector<int> allowed_cpus() {
    cpu_set_t all;
    sched_getaffinity(0, sizeof(all), &all);
    std::vector<int> cpus;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) cpus.push_back(cpu);
    }
    return cpus;
}

class ThreadsRseq : public ::testing::Test {
  protected:
    void SetUp() override {
        if (__rseq_size == 0) GTEST_SKIP() << "glibc registered none";
    }
};

TEST_F(ThreadsRseq, EachThreadHasAnArea) {
    const auto check = [] {
        const volatile Area* area = own_area();
        EXPECT_EQ(0u, reinterpret_cast<uintptr_t>(area) % 32);
        EXPECT_LT(area->cpu_id, 4096u);
        EXPECT_LT(area->cpu_id_start, 4096u);
        EXPECT_EQ(0u, area->sequence);
    };
    check();
    std::thread(check).join();
}

TEST_F(ThreadsRseq, RegistrationIsOnce) {
    constexpr unsigned kSize = 32, kSignature = 0x53053053;
    const auto rseq = [](volatile void* area, unsigned size, int flags, unsigned signature) {
        return syscall(SYS_rseq, area, size, flags, signature);
    };
    std::thread([&] {
        alignas(32) static Area another;
        volatile Area* own = own_area();
        EXPECT_ERRNO(EBUSY, rseq(own, kSize, 0, kSignature));
        EXPECT_ERRNO(EPERM, rseq(own, kSize, 0, kSignature + 1));
        EXPECT_ERRNO(EINVAL, rseq(&another, kSize, 0, kSignature));
        EXPECT_ERRNO(EINVAL, rseq(own, kSize, 4, kSignature));
        EXPECT_ERRNO(EINVAL, rseq(&another, kSize, RSEQ_FLAG_UNREGISTER, kSignature));
        EXPECT_ERRNO(EINVAL, rseq(own, kSize + 32, RSEQ_FLAG_UNREGISTER, kSignature));
        EXPECT_ERRNO(EPERM, rseq(own, kSize, RSEQ_FLAG_UNREGISTER, kSignature + 1));
        EXPECT_ERRNO(EINVAL, rseq(own, kSize, RSEQ_FLAG_UNREGISTER | 2, kSignature));
        EXPECT_EQ(0, rseq(own, kSize, RSEQ_FLAG_UNREGISTER, kSignature));
        EXPECT_EQ(~0u, own->cpu_id);
        EXPECT_EQ(0u, own->cpu_id_start);
        EXPECT_ERRNO(EINVAL, rseq(own, kSize, RSEQ_FLAG_UNREGISTER, kSignature));
        EXPECT_ERRNO(EINVAL, rseq(reinterpret_cast<char*>(&another) + 8, kSize, 0, kSignature));
        EXPECT_ERRNO(EINVAL, rseq(&another, 16, 0, kSignature));
        EXPECT_ERRNO(EFAULT, rseq(reinterpret_cast<void*>(0xffff800000000000), kSize, 0, 1));
        // Any area, and any signature.
        EXPECT_EQ(0, rseq(&another, kSize, 0, 1));
        EXPECT_LT(another.cpu_id, 4096u);
        EXPECT_EQ(0, rseq(&another, kSize, RSEQ_FLAG_UNREGISTER, 1));
        EXPECT_EQ(0, rseq(own, kSize, 0, kSignature)) << "which glibc counts on";
    }).join();
}

std::atomic<uint64_t> interrupted_at;
void note_address(int, siginfo_t*, void* context) {
    interrupted_at = static_cast<uint64_t>(
        static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP]);
}

class SequenceSignals : public ThreadsRseq {
  protected:
    void SetUp() override {
        ThreadsRseq::SetUp();
        struct sigaction action = {};
        action.sa_sigaction = note_address;
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGUSR1, &action, nullptr);
        interrupted_at = 0;
    }
    void TearDown() override { signal(SIGUSR1, SIG_DFL); }
};

TEST_F(SequenceSignals, ASignalAborts) {
    Spinner spinner;
    ASSERT_EQ(0, pthread_kill(spinner.thread.native_handle(), SIGUSR1));
    EXPECT_TRUE(spinner.is_aborted());
    EXPECT_EQ(0u, spinner.left_in_area);
    // A preemption may have come first; then the signal found no sequence.
    EXPECT_TRUE(eventually([] { return interrupted_at != 0; }));
}

TEST_F(SequenceSignals, TheHandlerSeesTheAbortAddress) {
    // Now and then a preemption comes first: one of many signals must find the sequence.
    bool found = false;
    for (int i = 0; i < 100 && !found; i++) {
        interrupted_at = 0;
        std::atomic<bool> never{false}, is_inside{false};
        std::atomic<uint64_t> abort_address{0};
        std::thread sender([&, target = pthread_self()] {
            while (!is_inside) sched_yield();
            pthread_kill(target, SIGUSR1);
        });
        EXPECT_TRUE(spin_in_sequence(own_area(), &never, &is_inside, &abort_address));
        sender.join();
        found = interrupted_at == abort_address;
    }
    EXPECT_TRUE(found);
}

TEST_F(SequenceSignals, OutsideOfTheSequenceNothingIsAborted) {
    // A pointer that was left behind is taken away.
    static uint32_t place[8] = {0x53053053};
    static struct alignas(32) {
        uint32_t version = 0, flags = 0;
        uint64_t start = reinterpret_cast<uint64_t>(place + 2), length = 16;
        uint64_t abort = reinterpret_cast<uint64_t>(place + 1);
    } elsewhere;
    own_area()->sequence = reinterpret_cast<uint64_t>(&elsewhere);
    raise(SIGUSR1);
    EXPECT_NE(0u, interrupted_at);
    EXPECT_NE(elsewhere.abort, interrupted_at);
    EXPECT_EQ(0u, own_area()->sequence);
}

TEST_F(ThreadsRseq, AMoveAborts) {
    const std::vector<int> cpus = allowed_cpus();
    if (cpus.size() < 2) GTEST_SKIP() << "one CPU";
    for (int round = 0; round < 10; round++) {
        Spinner spinner(cpus[0]);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpus[1], &one);
        ASSERT_EQ(0, pthread_setaffinity_np(spinner.thread.native_handle(), sizeof(one), &one));
        EXPECT_TRUE(spinner.is_aborted());
    }
}

TEST_F(ThreadsRseq, ABarrierAbortsElsewhere) {
    const auto membarrier = [](int command, unsigned flags = 0, int cpu = 0) {
        return syscall(SYS_membarrier, command, flags, cpu);
    };
    constexpr int kBarrier = MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ;
    if (!(membarrier(MEMBARRIER_CMD_QUERY) & kBarrier)) GTEST_SKIP() << "not there";
    ASSERT_EQ(0, membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ));
    EXPECT_ERRNO(EINVAL, membarrier(kBarrier, 2));
    EXPECT_EQ(0, membarrier(kBarrier, MEMBARRIER_CMD_FLAG_CPU, 4000)) << "no such CPU";
    const std::vector<int> cpus = allowed_cpus();
    for (int round = 0; round < 10; round++) {
        Spinner spinner(cpus.back());
        EXPECT_EQ(0, membarrier(kBarrier));
        EXPECT_TRUE(spinner.is_aborted());
    }
    for (int round = 0; round < 10; round++) {
        Spinner spinner(cpus.back());
        EXPECT_EQ(0, membarrier(kBarrier, MEMBARRIER_CMD_FLAG_CPU, cpus.back()));
        EXPECT_TRUE(spinner.is_aborted());
    }
}

// Adds to the counter of this CPU, without an atomic instruction. False: aborted before.
bool add_here(volatile Area* area, uint64_t* counters, size_t stride) {
    bool done = false;
    asm volatile(R"(
        .pushsection .data.rel.rseq_cs, "aw"
        .balign 32
    9:  .long 0, 0
        .quad 1f, 2f - 1f, 4f
        .popsection
        lea 9b(%%rip), %%rax
        mov %%rax, 8(%1)
    1:  mov 4(%1), %%eax
        imul %3, %%rax
        mov (%2, %%rax), %%rcx
        inc %%rcx
        pause
        mov %%rcx, (%2, %%rax)
    2:  movb $1, %0
        jmp 5f
        .long 0x53053053
    4:
    5:
    )"
                 : "+m"(done)
                 : "r"(area), "r"(counters), "r"(stride)
                 : "rax", "rcx", "memory", "cc");
    return done;
}

TEST_F(ThreadsRseq, CountersOfEachCpu) {
    constexpr size_t kStride = 64;
    constexpr int kThreads = 6;
    constexpr uint64_t kRounds = 30'000;
    static uint64_t counters[1024 * kStride / sizeof(uint64_t)];
    {
        Threads threads;
        for (int i = 0; i < kThreads; i++) {
            threads.start([] {
                volatile Area* area = own_area();
                for (uint64_t round = 0; round < kRounds; round++) {
                    while (!add_here(area, counters, kStride)) continue;
                    if (round % 1000 == 0) sched_yield();
                }
            });
        }
    }
    uint64_t sum = 0;
    for (uint64_t counter : counters) sum += counter;
    EXPECT_EQ(kThreads * kRounds, sum);
}

}  // namespace
