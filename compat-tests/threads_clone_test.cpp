// clone(2) and clone3(2) themselves: what a new thread starts with and leaves, and the errors of
// wrong flags. The threads are not glibc's, so they call the kernel alone.
#include <asm/prctl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <xmmintrin.h>

#include <cstring>
#include <memory>

#include "threads_support.h"

namespace {

constexpr unsigned long kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;

// The system call with the child's function and argument in registers that it inherits.
long raw_clone(long number, unsigned long first, unsigned long second, void* parent_tid,
               void* child_tid, unsigned long tls, void (*function)(void*), void* argument) {
    long result = number;
    register void* r10 asm("r10") = child_tid;
    register unsigned long r8 asm("r8") = tls;
    register auto r12 asm("r12") = function;
    register void* r13 asm("r13") = argument;
    asm volatile(R"(
        syscall
        test %%rax, %%rax
        jnz 1f
        xor %%ebp, %%ebp
        and $-16, %%rsp
        mov %%r13, %%rdi
        call *%%r12
        mov $60, %%eax
        xor %%edi, %%edi
        syscall
    1:
    )"
                 : "+a"(result), "+D"(first), "+S"(second), "+d"(parent_tid), "+r"(r10), "+r"(r8)
                 : "r"(r12), "r"(r13)
                 : "rcx", "r11", "memory", "cc");
    return result;
}

struct Child {
    std::unique_ptr<char[]> stack{new char[65536]};
    int parent_tid = -1;
    std::atomic<int> child_tid{-1};

    char* stack_top() { return stack.get() + 65536; }
    long start(unsigned long flags, void (*function)(void*), void* argument,
               unsigned long tls = 0) {
        return raw_clone(SYS_clone, kThread | CLONE_CHILD_CLEARTID | flags,
                         reinterpret_cast<unsigned long>(stack_top()), &parent_tid, &child_tid,
                         tls, function, argument);
    }
    // Until the kernel has cleared the word.
    void join() {
        for (int seen; (seen = child_tid) != 0;) {
            futex(&child_tid, FUTEX_WAIT, static_cast<uint32_t>(seen));
        }
    }
};

long own_tid() { return syscall(SYS_gettid); }

TEST(ThreadsClone, TellsTheTidEverywhere) {
    Child child;
    static std::atomic<long> own;
    own = 0;
    const long tid = child.start(
        CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
        [](void* about) {
            own = own_tid();
            // Written before the child runs.
            if (static_cast<Child*>(about)->child_tid != own) own = -1;
        },
        &child);
    ASSERT_GT(tid, 0);
    EXPECT_EQ(tid, child.parent_tid);
    child.join();
    EXPECT_EQ(tid, own);
    EXPECT_EQ(0, child.child_tid);
    EXPECT_TRUE(eventually([&] { return syscall(SYS_tgkill, getpid(), tid, 0) == -1; }));
    EXPECT_EQ(ESRCH, errno);
}

TEST(ThreadsClone, WritesNothingUnasked) {
    Child child;
    child.child_tid = 77;
    std::atomic<bool> has_run{false};
    const long tid = raw_clone(
        SYS_clone, kThread, reinterpret_cast<unsigned long>(child.stack_top()), &child.parent_tid,
        &child.child_tid, 0, [](void* done) { *static_cast<std::atomic<bool>*>(done) = true; },
        &has_run);
    ASSERT_GT(tid, 0);
    EXPECT_TRUE(eventually([&] { return has_run && kill(static_cast<pid_t>(tid), 0) == -1; }));
    EXPECT_EQ(-1, child.parent_tid);
    EXPECT_EQ(77, child.child_tid);
}

TEST(ThreadsClone, BadTidAddressesAreNobodysError) {
    Child child;
    static std::atomic<bool> has_run;
    has_run = false;
    void* nowhere = reinterpret_cast<void*>(8);
    const long tid = raw_clone(
        SYS_clone, kThread | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID,
        reinterpret_cast<unsigned long>(child.stack_top()), nowhere, nowhere, 0,
        [](void*) { has_run = true; }, nullptr);
    EXPECT_GT(tid, 0);
    EXPECT_TRUE(eventually([&] { return has_run && kill(static_cast<pid_t>(tid), 0) == -1; }));
}

TEST(ThreadsClone, SetTidAddressMovesTheWord) {
    static std::atomic<int> other;
    other = 5;
    Child child;
    static std::atomic<long> answer;
    const long tid = child.start(
        0, [](void*) { answer = syscall(SYS_set_tid_address, &other); }, nullptr);
    ASSERT_GT(tid, 0);
    for (int seen; (seen = other) != 0;) futex(&other, FUTEX_WAIT, static_cast<uint32_t>(seen));
    EXPECT_EQ(tid, answer);
    EXPECT_EQ(-1, child.child_tid) << "not the first one";
    EXPECT_TRUE(eventually([&] { return kill(static_cast<pid_t>(tid), 0) == -1; }));
}

unsigned long fs_base() {
    unsigned long base = 0;
    syscall(SYS_arch_prctl, ARCH_GET_FS, &base);
    return base;
}

TEST(ThreadsClone, ThreadPointer) {
    static std::atomic<unsigned long> seen;
    {
        Child child;
        ASSERT_GT(child.start(0, [](void*) { seen = fs_base(); }, nullptr, 0x1234), 0);
        child.join();
        EXPECT_EQ(fs_base(), seen) << "inherited";
    }
    // Enough of one for the stack protector's word.
    alignas(64) static unsigned long area[64];
    memcpy(area, reinterpret_cast<void*>(fs_base()), sizeof(area));
    Child child;
    ASSERT_GT(child.start(CLONE_SETTLS,
                          [](void*) {
                              unsigned long base;
                              asm volatile("mov $158, %%eax; mov $0x1003, %%edi; mov %0, %%rsi;"
                                           "syscall" ::"r"(&base)
                                           : "rax", "rdi", "rsi", "rcx", "r11", "memory");
                              seen = base;
                          },
                          nullptr, reinterpret_cast<unsigned long>(area)),
              0);
    child.join();
    EXPECT_EQ(reinterpret_cast<unsigned long>(area), seen);
    errno = 0;
    EXPECT_EQ(-EPERM, child.start(CLONE_SETTLS, [](void*) {}, nullptr, 0xffff800000000000));
}

TEST(ThreadsClone, InheritsWhatIsAThreads) {
    struct Seen {
        sigset_t mask = {};
        cpu_set_t cpus = {};
        int nice = -1;
        char name[16] = {};
        unsigned mxcsr = 0;
        stack_t alternate = {};
        size_t robust = 1;
        void* robust_head = nullptr;
    } seen;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    const int nice_before = getpriority(PRIO_PROCESS, 0);
    setpriority(PRIO_PROCESS, 0, nice_before + 3);
    prctl(PR_SET_NAME, "parent");
    char space[16384];
    const stack_t alternate = {space, 0, sizeof(space)};
    sigaltstack(&alternate, nullptr);
    const unsigned mxcsr = _mm_getcsr();
    _mm_setcsr(mxcsr ^ 0x8000);  // flush to zero
    Child child;
    const long tid = child.start(
        0,
        [](void* to) {
            auto& seen = *static_cast<Seen*>(to);
            seen.mxcsr = _mm_getcsr();
            syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &seen.mask, 8);
            syscall(SYS_sched_getaffinity, 0, sizeof(seen.cpus), &seen.cpus);
            seen.nice = 20 - static_cast<int>(syscall(SYS_getpriority, PRIO_PROCESS, 0));
            syscall(SYS_prctl, PR_GET_NAME, seen.name);
            syscall(SYS_sigaltstack, nullptr, &seen.alternate);
            syscall(SYS_get_robust_list, 0, &seen.robust_head, &seen.robust);
        },
        &seen);
    _mm_setcsr(mxcsr);
    ASSERT_GT(tid, 0);
    child.join();
    EXPECT_EQ(1, sigismember(&seen.mask, SIGUSR2));
    EXPECT_EQ(nice_before + 3, seen.nice);
    EXPECT_STREQ("parent", seen.name);
    EXPECT_EQ(mxcsr ^ 0x8000, seen.mxcsr & ~0x3fu);
    EXPECT_EQ(SS_DISABLE, seen.alternate.ss_flags) << "not the alternate stack";
    EXPECT_EQ(nullptr, seen.robust_head) << "nor the robust list";
    cpu_set_t own;
    sched_getaffinity(0, sizeof(own), &own);
    EXPECT_TRUE(CPU_EQUAL(&own, &seen.cpus));
    const stack_t none = {nullptr, SS_DISABLE, 0};
    sigaltstack(&none, nullptr);
    setpriority(PRIO_PROCESS, 0, nice_before);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(ThreadsClone, RefusesWhatDoesNotGoTogether) {
    const auto try_flags = [](unsigned long flags) {
        return raw_clone(SYS_clone, flags, 0, nullptr, nullptr, 0, [](void*) {}, nullptr);
    };
    EXPECT_EQ(-EINVAL, try_flags(CLONE_THREAD));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_THREAD | CLONE_VM));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_SIGHAND));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_THREAD | CLONE_SIGHAND));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_NEWNS | CLONE_FS));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_NEWUSER | CLONE_FS));
    EXPECT_EQ(-EINVAL, try_flags(kThread | CLONE_NEWPID));
    EXPECT_EQ(-EINVAL, try_flags((kThread & ~CLONE_FS) | CLONE_NEWUSER));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_PIDFD | CLONE_DETACHED));
    EXPECT_EQ(-EINVAL, try_flags(CLONE_PIDFD | CLONE_PARENT_SETTID));
}

struct Clone3 : ::testing::Test {
    static void nothing(void*) {}
    // With room behind the structure for what is not known yet.
    struct Arguments {
        clone_args known = {};
        unsigned long unknown[2] = {};
    };
    Arguments arguments;
    Child child;

    void SetUp() override {
        arguments.known.flags = kThread | CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID;
        arguments.known.child_tid = reinterpret_cast<unsigned long>(&child.child_tid);
        arguments.known.stack = reinterpret_cast<unsigned long>(child.stack.get());
        arguments.known.stack_size = 65536;
    }
    long start(size_t size = sizeof(clone_args), void (*function)(void*) = nothing,
               void* argument = nullptr) {
        return raw_clone(SYS_clone3, reinterpret_cast<unsigned long>(&arguments), size, nullptr,
                         nullptr, 0, function, argument);
    }
};

TEST_F(Clone3, StartsAtTheTopOfTheStack) {
    static std::atomic<unsigned long> stack_pointer;
    const long tid = start(
        sizeof(clone_args),
        [](void*) { stack_pointer = reinterpret_cast<unsigned long>(__builtin_frame_address(0)); });
    ASSERT_GT(tid, 0);
    child.join();
    const auto top = reinterpret_cast<unsigned long>(child.stack_top());
    EXPECT_LT(stack_pointer, top);
    EXPECT_GT(stack_pointer, top - 256);
}

TEST_F(Clone3, SizesOfTheStructure) {
    for (size_t size : {64ul, 80ul, 88ul, 96ul}) {
        child.child_tid = -1;
        ASSERT_GT(start(size), 0) << size;
        child.join();
    }
    EXPECT_EQ(-EINVAL, start(0));
    EXPECT_EQ(-EINVAL, start(63));
    EXPECT_EQ(-E2BIG, start(4097));
    arguments.unknown[0] = 1;
    EXPECT_EQ(-E2BIG, start(sizeof(arguments)));
    EXPECT_EQ(-EFAULT, raw_clone(SYS_clone3, 8, sizeof(clone_args), nullptr, nullptr, 0, nothing,
                                 nullptr));
}

TEST_F(Clone3, ErrorsOfItsFields) {
    const Arguments good = arguments;
    const auto with = [&](auto change) {
        arguments = good;
        change(arguments.known);
        return start();
    };
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.exit_signal = SIGCHLD; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.exit_signal = 65; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.exit_signal = 0x100; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.stack_size = 0; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.stack = 0; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.stack = 0x7ffffffff000; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.flags |= 1ul << 60; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.flags |= SIGCHLD; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.flags |= CLONE_DETACHED; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.flags |= CLONE_CLEAR_SIGHAND; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.flags &= ~CLONE_SIGHAND; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.set_tid_size = 33; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.set_tid_size = 1; }));
    EXPECT_EQ(-EINVAL, with([](clone_args& a) { a.set_tid = 8; }));
    EXPECT_EQ(-EPERM, with([](clone_args& a) {
                  a.flags |= CLONE_SETTLS;
                  a.tls = 1ul << 63;
              }));
}

// Flags that ask for what a thread of the process has anyway, or for nothing that is to be seen.
TEST(ThreadsClone, FlagsWithoutEffect) {
    const unsigned long flags[] = {CLONE_SYSVSEM,  CLONE_IO,     CLONE_DETACHED,
                                   CLONE_UNTRACED, CLONE_PTRACE, CLONE_PARENT};
    for (unsigned long flag : flags) {
        Child child;
        ASSERT_GT(child.start(flag, [](void*) {}, nullptr), 0) << std::hex << flag;
        child.join();
    }
    // The signal that would tell a parent of a child's end is nothing for a thread.
    Child child;
    ASSERT_GT(child.start(SIGUSR1, [](void*) {}, nullptr), 0);
    child.join();
}

TEST(ThreadsClone, VforkWaitsForTheEnd) {
    static std::atomic<bool> has_slept;
    has_slept = false;
    Child child;
    const long tid = child.start(
        CLONE_VFORK,
        [](void*) {
            const timespec time = {0, 20 * kMs};
            syscall(SYS_nanosleep, &time, nullptr);
            has_slept = true;
        },
        nullptr);
    ASSERT_GT(tid, 0);
    EXPECT_TRUE(has_slept);
    child.join();
}

}  // namespace
