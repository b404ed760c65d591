// Which thread takes a signal, and what each thread has of its own.
#include <setjmp.h>
#include <sys/mman.h>

#include <memory>

#include "signals_threads_support.h"

namespace {

TEST_F(SignalsThreads, TgkillGoesToThatThread) {
    set_handler(SIGUSR1, note);
    std::atomic<bool> stop{false};
    Worker worker([&] {
        while (!stop) sleep_ns(kMs);
    });
    ASSERT_EQ(0, tgkill_raw(getpid(), worker.tid(), SIGUSR1));
    EXPECT_TRUE(eventually([] { return handled == 1; }));
    EXPECT_EQ(worker.tid(), handled_by);
    ASSERT_EQ(0, pthread_kill(worker.handle(), SIGUSR1));
    EXPECT_TRUE(eventually([] { return handled == 2; }));
    ASSERT_EQ(0, syscall(SYS_tkill, worker.tid(), SIGUSR1));
    EXPECT_TRUE(eventually([] { return handled == 3; }));
    EXPECT_EQ(worker.tid(), handled_by);
    stop = true;
    const pid_t tid = worker.tid();
    worker.join();
    EXPECT_TRUE(eventually([&] { return tgkill_raw(getpid(), tid, 0) == -1; }));
    EXPECT_EQ(ESRCH, errno);
}

TEST_F(SignalsThreads, InterruptsABusyLoopOfAnotherThread) {
    set_handler(SIGUSR1, note);
    std::atomic<bool> stop{false};
    std::atomic<long> turns{0};
    Worker worker([&] {
        while (!stop) turns++;
    });
    for (int i = 1; i <= 20; i++) {
        ASSERT_EQ(0, tgkill_raw(getpid(), worker.tid(), SIGUSR1));
        ASSERT_TRUE(eventually([&] { return handled == i; }));
    }
    EXPECT_EQ(worker.tid(), handled_by);
    stop = true;
}

TEST_F(SignalsThreads, ProcessSignalsPreferTheMainThread) {
    set_handler(SIGUSR1, note);
    std::atomic<bool> go{false}, stop{false};
    Worker worker([&] {
        while (!go) sleep_ns(kMs);
        kill(getpid(), SIGUSR1);
        while (!stop) sleep_ns(kMs);
    });
    go = true;  // from here on: pthread_create(3) blocks all signals
    EXPECT_TRUE(eventually([] { return handled == 1; }));
    EXPECT_EQ(getpid(), handled_by);
    stop = true;
}

TEST_F(SignalsThreads, AThreadThatDoesNotBlockTakesIt) {
    set_handler(SIGUSR1, note);
    mask(SIG_BLOCK, {SIGUSR1});
    std::atomic<bool> stop{false};
    Worker blocking([&] {
        while (!stop) sleep_ns(kMs);
    });
    Worker open([&] {
        mask(SIG_UNBLOCK, {SIGUSR1});
        while (!stop) sleep_ns(kMs);
    });
    sleep_ns(5 * kMs);
    kill(getpid(), SIGUSR1);
    EXPECT_TRUE(eventually([] { return handled == 1; }));
    EXPECT_EQ(open.tid(), handled_by);
    EXPECT_FALSE(is_pending(SIGUSR1));
    stop = true;
}

TEST_F(SignalsThreads, ABlockedOneWaitsForTheFirstWhoUnblocks) {
    set_handler(SIGUSR1, note);
    mask(SIG_BLOCK, {SIGUSR1});
    std::atomic<bool> go{false};
    Worker worker([&] {
        while (!go) sleep_ns(kMs);
        EXPECT_TRUE(is_pending(SIGUSR1));
        mask(SIG_UNBLOCK, {SIGUSR1});
        EXPECT_EQ(1, handled);
        EXPECT_EQ(gettid(), handled_by);
    });
    kill(getpid(), SIGUSR1);
    sleep_ns(5 * kMs);
    EXPECT_EQ(0, handled);
    EXPECT_TRUE(is_pending(SIGUSR1));
    go = true;
    worker.join();
    EXPECT_FALSE(is_pending(SIGUSR1));
}

TEST_F(SignalsThreads, PendingSetsAreTheThreadsOwn) {
    mask(SIG_BLOCK, {SIGUSR1, SIGUSR2});
    raise(SIGUSR1);             // to this thread
    kill(getpid(), SIGUSR2);    // to the process
    EXPECT_TRUE(is_pending(SIGUSR1));
    EXPECT_TRUE(is_pending(SIGUSR2));
    Worker([&] {
        EXPECT_FALSE(is_pending(SIGUSR1));
        EXPECT_TRUE(is_pending(SIGUSR2));
        const sigset_t set = set_of({SIGUSR1, SIGUSR2});
        const timespec none = {};
        EXPECT_EQ(SIGUSR2, sigtimedwait(&set, nullptr, &none));
        EXPECT_EQ(-1, sigtimedwait(&set, nullptr, &none));
    }).join();
    EXPECT_FALSE(is_pending(SIGUSR2));
    const sigset_t set = set_of({SIGUSR1});
    EXPECT_EQ(SIGUSR1, sigwaitinfo(&set, nullptr));
}

TEST_F(SignalsThreads, MasksAreInherited) {
    mask(SIG_BLOCK, {SIGUSR1});
    Worker([] {
        sigset_t now;
        pthread_sigmask(SIG_BLOCK, nullptr, &now);
        EXPECT_TRUE(sigismember(&now, SIGUSR1));
        mask(SIG_BLOCK, {SIGUSR2});
        stack_t stack;
        sigaltstack(nullptr, &stack);
        EXPECT_EQ(SS_DISABLE, stack.ss_flags);
    }).join();
    sigset_t now;
    pthread_sigmask(SIG_BLOCK, nullptr, &now);
    EXPECT_FALSE(sigismember(&now, SIGUSR2));
}

TEST_F(SignalsThreads, EachWaiterGetsOne) {
    constexpr int kWaiters = 8;
    const int signo = SIGRTMIN + 1;
    mask(SIG_BLOCK, {signo});
    std::atomic<int> sum{0}, waiting{0};
    std::vector<std::unique_ptr<Worker>> workers;
    for (int i = 0; i < kWaiters; i++) {
        workers.push_back(std::make_unique<Worker>([&] {
            const sigset_t set = set_of({signo});
            siginfo_t info;
            waiting++;
            // Linux answers EINTR to a thread that wakes to find its signal taken by another.
            int got;
            do {
                got = sigwaitinfo(&set, &info);
            } while (got == -1 && errno == EINTR);
            EXPECT_EQ(signo, got);
            sum += info.si_value.sival_int;
        }));
    }
    ASSERT_TRUE(eventually([&] { return waiting == kWaiters; }));
    for (int i = 1; i <= kWaiters; i++) {
        ASSERT_EQ(0, sigqueue(getpid(), signo, sigval{.sival_int = i}));
    }
    for (auto& worker : workers) worker->join();
    EXPECT_EQ(kWaiters * (kWaiters + 1) / 2, sum);
}

TEST_F(SignalsThreads, ASignalThreadTakesThemAll) {
    // The usual design: everybody blocks, one thread waits.
    mask(SIG_BLOCK, {SIGUSR1, SIGUSR2, SIGALRM});
    std::vector<int> seen;
    Worker waiter([&] {
        const sigset_t set = set_of({SIGUSR1, SIGUSR2, SIGALRM});
        for (int i = 0; i < 3; i++) {
            int signo = 0;
            EXPECT_EQ(0, sigwait(&set, &signo));
            seen.push_back(signo);
        }
    });
    sleep_ns(5 * kMs);
    kill(getpid(), SIGUSR1);
    ASSERT_TRUE(eventually([] { return !is_pending(SIGUSR1); }));
    kill(getpid(), SIGUSR2);
    ASSERT_TRUE(eventually([] { return !is_pending(SIGUSR2); }));
    alarm(1);
    waiter.join();
    EXPECT_EQ((std::vector<int>{SIGUSR1, SIGUSR2, SIGALRM}), seen);
}

TEST_F(SignalsThreads, AnEndingThreadHandsItsSignalsOver) {
    set_handler(SIGUSR1, note);
    mask(SIG_BLOCK, {SIGUSR1});
    for (int round = 0; round < 50; round++) {
        handled = 0;
        std::atomic<bool> stop{false};
        Worker survivor([&] {
            mask(SIG_UNBLOCK, {SIGUSR1});
            while (!stop) sleep_ns(kMs);
        });
        {
            Worker dying([] { mask(SIG_UNBLOCK, {SIGUSR1}); });
            kill(getpid(), SIGUSR1);
        }
        EXPECT_TRUE(eventually([] { return handled == 1; })) << round;
        stop = true;
    }
}

TEST_F(SignalsThreads, QueueInfoToAThread) {
    const int signo = SIGRTMIN + 1;
    mask(SIG_BLOCK, {signo});
    siginfo_t seen = {};
    Worker worker([&] {
        const sigset_t set = set_of({signo});
        EXPECT_EQ(signo, sigwaitinfo(&set, &seen));
    });
    siginfo_t info = {};
    info.si_code = SI_QUEUE;
    info.si_pid = 77;
    info.si_uid = 88;
    info.si_value.sival_int = 99;
    ASSERT_EQ(0, syscall(SYS_rt_tgsigqueueinfo, getpid(), worker.tid(), signo, &info));
    worker.join();
    EXPECT_EQ(SI_QUEUE, seen.si_code);
    EXPECT_EQ(77, seen.si_pid);
    EXPECT_EQ(88u, seen.si_uid);
    EXPECT_EQ(99, seen.si_value.sival_int);

    // To others, it must not look like kill(2)'s or the kernel's.
    std::atomic<bool> stop{false};
    Worker other([&] {
        while (!stop) sleep_ns(kMs);
    });
    info.si_code = SI_TKILL;
    EXPECT_EQ(-1, syscall(SYS_rt_tgsigqueueinfo, getpid(), other.tid(), signo, &info));
    EXPECT_EQ(EPERM, errno);
    info.si_code = SI_KERNEL;
    EXPECT_EQ(-1, syscall(SYS_rt_tgsigqueueinfo, getpid(), other.tid(), signo, &info));
    EXPECT_EQ(EPERM, errno);
    stop = true;
}

TEST_F(SignalsThreads, KillByTheNumberOfAThreadIsForTheProcess) {
    mask(SIG_BLOCK, {SIGUSR1});
    std::atomic<bool> stop{false};
    Worker worker([&] {
        while (!stop) sleep_ns(kMs);
    });
    ASSERT_EQ(0, kill(worker.tid(), SIGUSR1));
    EXPECT_TRUE(is_pending(SIGUSR1)) << "seen by this thread, too";
    const sigset_t set = set_of({SIGUSR1});
    EXPECT_EQ(SIGUSR1, sigwaitinfo(&set, nullptr));
    EXPECT_EQ(-1, tgkill_raw(worker.tid(), worker.tid(), SIGUSR1));
    EXPECT_EQ(ESRCH, errno);
    stop = true;
}

TEST_F(SignalsThreads, AWaitingThreadIsInterrupted) {
    set_handler(SIGUSR1, note);
    int pipe_fds[2];
    ASSERT_EQ(0, pipe(pipe_fds));
    std::atomic<int> error{0};
    Worker reader([&] {
        char byte;
        if (read(pipe_fds[0], &byte, 1) == -1) error = errno;
    });
    EXPECT_TRUE(asleep(reader.tid()));
    tgkill_raw(getpid(), reader.tid(), SIGUSR1);
    reader.join();
    EXPECT_EQ(EINTR, error);
    EXPECT_EQ(reader.tid(), handled_by);

    set_handler(SIGUSR1, note, SA_RESTART);
    char got = 0;
    Worker restarted([&] { EXPECT_EQ(1, read(pipe_fds[0], &got, 1)); });
    for (int i = 2; i < 6; i++) {
        EXPECT_TRUE(asleep(restarted.tid()));
        tgkill_raw(getpid(), restarted.tid(), SIGUSR1);
        ASSERT_TRUE(eventually([&] { return handled == i; }));
    }
    ASSERT_EQ(1, write(pipe_fds[1], "x", 1));
    restarted.join();
    EXPECT_EQ('x', got);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

thread_local sigjmp_buf fault_return;
thread_local void* fault_address;
void on_fault(int, siginfo_t* info, void*) {
    fault_address = info->si_addr;
    siglongjmp(fault_return, 1);
}

TEST_F(SignalsThreads, FaultsBelongToTheirThreads) {
    struct sigaction action = {}, old;
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, &old);
    std::vector<std::unique_ptr<Worker>> workers;
    std::atomic<int> good{0};
    for (int i = 0; i < 8; i++) {
        workers.push_back(std::make_unique<Worker>([&, i] {
            for (int round = 0; round < 200; round++) {
                auto* wild = reinterpret_cast<volatile int*>(0x1000l * (i + 1) + 4 * round);
                if (sigsetjmp(fault_return, 1) == 0) {
                    *wild = 1;
                } else if (fault_address == wild) {
                    good++;
                }
            }
        }));
    }
    for (auto& worker : workers) worker->join();
    EXPECT_EQ(8 * 200, good);
    sigaction(SIGSEGV, &old, nullptr);
}

// Each thread handles on its own alternate stack, and keeps its vector registers.
std::atomic<bool> was_on_stack;
void check_stack(int) {
    char local;
    stack_t stack;
    sigaltstack(nullptr, &stack);
    const auto start = reinterpret_cast<uintptr_t>(stack.ss_sp);
    const auto here = reinterpret_cast<uintptr_t>(&local);
    was_on_stack = (stack.ss_flags & SS_ONSTACK) && here > start && here < start + stack.ss_size;
    asm volatile("pxor %%xmm7, %%xmm7" ::: "xmm7");
    handled++;
}

TEST_F(SignalsThreads, AlternateStacksAndRegistersAreTheThreadsOwn) {
    set_handler(SIGUSR1, check_stack, SA_ONSTACK);
    std::atomic<bool> stop{false};
    std::atomic<int> broken{0}, ready{0};
    std::vector<std::unique_ptr<Worker>> workers;
    for (long i = 1; i <= 4; i++) {
        workers.push_back(std::make_unique<Worker>([&, i] {
            const size_t size = 65536;
            void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            stack_t stack = {memory, 0, size};
            EXPECT_EQ(0, sigaltstack(&stack, nullptr));
            ready++;
            while (!stop) {
                long kept = 0;
                asm volatile(
                    "movq %1, %%xmm7\n mov $100000, %%ecx\n 1: dec %%ecx\n jnz 1b\n"
                    "movq %%xmm7, %0"
                    : "=r"(kept)
                    : "r"(i)
                    : "xmm7", "ecx");
                if (kept != i) broken++;
            }
        }));
    }
    ASSERT_TRUE(eventually([&] { return ready == 4; }));
    for (int i = 1; i <= 100; i++) {
        tgkill_raw(getpid(), workers[static_cast<size_t>(i) % 4]->tid(), SIGUSR1);
        ASSERT_TRUE(eventually([&] { return handled == i; }));
        EXPECT_TRUE(was_on_stack);
    }
    stop = true;
    for (auto& worker : workers) worker->join();
    EXPECT_EQ(0, broken);
}

TEST_F(SignalsThreads, ManyToMany) {
    set_handler(SIGUSR1, note, SA_RESTART);
    constexpr int kThreads = 8, kEach = 200;
    std::vector<std::unique_ptr<Worker>> workers;
    std::atomic<bool> go{false}, stop{false};
    std::vector<pid_t> tids(kThreads);
    std::atomic<int> done{0};
    for (int i = 0; i < kThreads; i++) {
        workers.push_back(std::make_unique<Worker>([&, i] {
            while (!go) sleep_ns(kMs);
            for (int j = 0; j < kEach; j++) {
                tgkill_raw(getpid(), tids[static_cast<size_t>(i + 1) % kThreads], SIGUSR1);
                if (j % 16 == 0) sched_yield();
            }
            done++;
            while (!stop) sleep_ns(kMs);
        }));
    }
    for (size_t i = 0; i < kThreads; i++) tids[i] = workers[i]->tid();
    go = true;
    EXPECT_TRUE(eventually([&] { return done == kThreads; }));
    EXPECT_GE(handled, kThreads) << "each has had one at least";
    EXPECT_LE(handled, kThreads * kEach);
    stop = true;
}

}  // namespace
