// Faults of the program itself: which signal, si_code, si_addr, and what the context tells.
#include <cpuid.h>
#include <errno.h>
#include <fenv.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <functional>

namespace {

sigjmp_buf back;
siginfo_t seen;
greg_t seen_trap, seen_error, seen_address, seen_ip;

void keep(int signo, siginfo_t* info, void* context) {
    const auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    seen = *info;
    seen_trap = registers[REG_TRAPNO];
    seen_error = registers[REG_ERR];
    seen_address = registers[REG_CR2];
    seen_ip = registers[REG_RIP];
    siglongjmp(back, signo);
}

// The signal that the action raises; 0 if it does not.
int signal_of(const std::function<void()>& action) {
    seen = {};
    const int signo = sigsetjmp(back, 1);
    if (signo == 0) action();
    return signo;
}

class SignalsFault : public ::testing::Test {
  protected:
    void SetUp() override {
        page_size_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        stack_t stack = {};
        stack.ss_sp = alternate_;
        stack.ss_size = sizeof(alternate_);
        ASSERT_EQ(0, sigaltstack(&stack, nullptr));
        struct sigaction action = {};
        action.sa_sigaction = keep;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        for (int signo : kFaults) ASSERT_EQ(0, sigaction(signo, &action, nullptr));
    }
    void TearDown() override {
        for (int signo : kFaults) signal(signo, SIG_DFL);
    }

    static constexpr int kFaults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    static char alternate_[64 * 1024];
    size_t page_size_;
};
char SignalsFault::alternate_[64 * 1024];

TEST_F(SignalsFault, UnmappedMemory) {
    auto* address = reinterpret_cast<volatile char*>(0x1230);
    EXPECT_EQ(SIGSEGV, signal_of([&] { (void)*address; }));
    EXPECT_EQ(SEGV_MAPERR, seen.si_code);
    EXPECT_EQ(const_cast<char*>(address), seen.si_addr);
    EXPECT_EQ(14, seen_trap);
    EXPECT_EQ(4, seen_error);
    EXPECT_EQ(0x1230, seen_address);

    EXPECT_EQ(SIGSEGV, signal_of([&] { *address = 1; }));
    EXPECT_EQ(6, seen_error);
}

TEST_F(SignalsFault, ProtectedMemory) {
    auto* page = static_cast<char*>(
        mmap(nullptr, page_size_, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(MAP_FAILED, page);
    volatile char* byte = page + 17;
    EXPECT_EQ(0, *byte);
    EXPECT_EQ(SIGSEGV, signal_of([&] { *byte = 1; }));
    EXPECT_EQ(SEGV_ACCERR, seen.si_code);
    EXPECT_EQ(page + 17, seen.si_addr);
    EXPECT_EQ(7, seen_error);
    ASSERT_EQ(0, mprotect(page, page_size_, PROT_NONE));
    EXPECT_EQ(SIGSEGV, signal_of([&] { (void)*byte; }));
    EXPECT_EQ(SEGV_ACCERR, seen.si_code);
    munmap(page, page_size_);
}

TEST_F(SignalsFault, JumpToData) {
    auto* page = static_cast<char*>(
        mmap(nullptr, page_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(MAP_FAILED, page);
    page[0] = static_cast<char>(0xc3);
    EXPECT_EQ(SIGSEGV, signal_of([&] { reinterpret_cast<void (*)()>(page)(); }));
    EXPECT_EQ(SEGV_ACCERR, seen.si_code);
    EXPECT_EQ(page, seen.si_addr);
    EXPECT_EQ(reinterpret_cast<greg_t>(page), seen_ip);
    EXPECT_EQ(0x15, seen_error);
    munmap(page, page_size_);
}

TEST_F(SignalsFault, CallOfNull) {
    void (*volatile function)() = nullptr;
    EXPECT_EQ(SIGSEGV, signal_of([&] { function(); }));
    EXPECT_EQ(SEGV_MAPERR, seen.si_code);
    EXPECT_EQ(nullptr, seen.si_addr);
    EXPECT_EQ(0, seen_ip);
    EXPECT_EQ(0x14, seen_error);
}

TEST_F(SignalsFault, JumpIntoTheUpperHalf) {
    for (uint64_t address : {0xffffffff80100000, 0xffff888000001000}) {
        void (*volatile function)() = reinterpret_cast<void (*)()>(address);
        EXPECT_EQ(SIGSEGV, signal_of([&] { function(); }));
        EXPECT_EQ(SEGV_MAPERR, seen.si_code);
        EXPECT_EQ(reinterpret_cast<void*>(address), seen.si_addr);
    }
    void (*volatile nowhere)() = reinterpret_cast<void (*)()>(0x9000000000000000);
    EXPECT_EQ(SIGSEGV, signal_of([&] { nowhere(); }));
    EXPECT_EQ(SI_KERNEL, seen.si_code);
}

TEST_F(SignalsFault, BeyondTheEndOfAFile) {
    const int fd = static_cast<int>(syscall(SYS_memfd_create, "short", 0));
    ASSERT_GE(fd, 0);
    ASSERT_EQ(0, ftruncate(fd, 10));
    auto* pages = static_cast<char*>(
        mmap(nullptr, 2 * page_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
    ASSERT_NE(MAP_FAILED, pages);
    volatile char* byte = pages;
    EXPECT_EQ(0, byte[20]);
    EXPECT_EQ(SIGBUS, signal_of([&] { (void)byte[page_size_ + 5]; }));
    EXPECT_EQ(BUS_ADRERR, seen.si_code);
    EXPECT_EQ(pages + page_size_ + 5, seen.si_addr);
    munmap(pages, 2 * page_size_);
    close(fd);
}

TEST_F(SignalsFault, NonCanonicalAddress) {
    auto* address = reinterpret_cast<volatile char*>(0x8000000000000000);
    EXPECT_EQ(SIGSEGV, signal_of([&] { (void)*address; }));
    EXPECT_EQ(SI_KERNEL, seen.si_code);
    EXPECT_EQ(nullptr, seen.si_addr);
    EXPECT_EQ(13, seen_trap);
    EXPECT_EQ(0, seen_error);
}

TEST_F(SignalsFault, PrivilegedInstructions) {
    EXPECT_EQ(SIGSEGV, signal_of([] { asm volatile("hlt"); }));
    EXPECT_EQ(SI_KERNEL, seen.si_code);
    EXPECT_EQ(13, seen_trap);
    EXPECT_EQ(SIGSEGV, signal_of([] { asm volatile("wrmsr" ::"a"(0), "d"(0), "c"(0x10)); }));
    EXPECT_EQ(SIGSEGV, signal_of([] { asm volatile("cli"); }));
    EXPECT_EQ(SIGSEGV, signal_of([] { asm volatile("mov %%cr3, %%rax" ::: "rax"); }));
    EXPECT_EQ(SIGSEGV, signal_of([] { asm volatile("outb %al, $0x80"); }));
}

TEST_F(SignalsFault, InvalidInstruction) {
    EXPECT_EQ(SIGILL, signal_of([] { asm volatile("ud2"); }));
    EXPECT_EQ(ILL_ILLOPN, seen.si_code);
    EXPECT_EQ(reinterpret_cast<void*>(seen_ip), seen.si_addr);
    EXPECT_EQ(6, seen_trap);
}

TEST_F(SignalsFault, Breakpoint) {
    EXPECT_EQ(SIGTRAP, signal_of([] { asm volatile("int3"); }));
    EXPECT_EQ(SI_KERNEL, seen.si_code);
    EXPECT_EQ(nullptr, seen.si_addr);
    EXPECT_EQ(3, seen_trap);
    EXPECT_EQ(0xcc, reinterpret_cast<unsigned char*>(seen_ip)[-1]) << "a trap: behind it";
}

TEST_F(SignalsFault, IntegerDivision) {
    EXPECT_EQ(SIGFPE, signal_of([] {
        asm volatile("xor %%ecx, %%ecx\n xor %%edx, %%edx\n mov $1, %%eax\n div %%ecx" ::
                         : "eax", "ecx", "edx");
    }));
    EXPECT_EQ(FPE_INTDIV, seen.si_code);
    EXPECT_EQ(reinterpret_cast<void*>(seen_ip), seen.si_addr);
    EXPECT_EQ(0, seen_trap);
}

// QEMU's own CPU has no SIMD exceptions (its TCG sets the flags and goes on).
bool has_simd_exceptions() {
    unsigned brand[12] = {};
    for (unsigned i = 0; i < 3; i++) {
        unsigned* part = brand + 4 * i;
        if (!__get_cpuid(0x80000002 + i, part, part + 1, part + 2, part + 3)) return true;
    }
    char text[sizeof(brand) + 1] = {};
    memcpy(text, brand, sizeof(brand));
    return strstr(text, "TCG") == nullptr;
}

volatile double one = 1.0, zero = 0.0, huge = 1e308, tiny = 1e-308;
volatile double result;

struct FloatCase {
    int exception;
    int code;
    void (*action)();
};

TEST_F(SignalsFault, SimdExceptions) {
    if (!has_simd_exceptions()) GTEST_SKIP() << "the emulated CPU does not raise them";
    const FloatCase cases[] = {
        {FE_DIVBYZERO, FPE_FLTDIV, [] { result = one / zero; }},
        {FE_INVALID, FPE_FLTINV, [] { result = zero / zero; }},
        {FE_OVERFLOW, FPE_FLTOVF, [] { result = huge * huge; }},
        {FE_UNDERFLOW, FPE_FLTUND, [] { result = tiny * tiny; }},
        {FE_INEXACT, FPE_FLTRES, [] { result = one / 3.0; }},
    };
    for (const FloatCase& test : cases) {
        feclearexcept(FE_ALL_EXCEPT);
        feenableexcept(test.exception);
        EXPECT_EQ(SIGFPE, signal_of(test.action)) << test.exception;
        fedisableexcept(FE_ALL_EXCEPT);
        feclearexcept(FE_ALL_EXCEPT);
        EXPECT_EQ(test.code, seen.si_code) << test.exception;
        EXPECT_EQ(reinterpret_cast<void*>(seen_ip), seen.si_addr);
        EXPECT_EQ(19, seen_trap);
    }
}

TEST_F(SignalsFault, X87Exceptions) {
    EXPECT_EQ(SIGFPE, signal_of([] {
        const unsigned short control = 0x37b;  // division by zero unmasked
        asm volatile("fninit\n fldcw %0\n fld1\n fldz\n fdivrp\n fwait" ::"m"(control));
    }));
    asm volatile("fninit");
    EXPECT_EQ(FPE_FLTDIV, seen.si_code);
    EXPECT_EQ(16, seen_trap);
}

TEST_F(SignalsFault, MisalignedVectorAccess) {
    alignas(16) static char bytes[32];
    EXPECT_EQ(SIGSEGV, signal_of([] {
                  asm volatile("movaps 1(%0), %%xmm0" ::"r"(bytes) : "xmm0");
              }));
    EXPECT_EQ(SI_KERNEL, seen.si_code);
}

volatile int deepest = INT_MAX;
int overflow(int depth) {
    volatile char frame[4096];
    frame[0] = static_cast<char>(depth);
    if (depth == deepest) return 0;
    return overflow(depth + 1) + frame[0];
}

TEST_F(SignalsFault, StackOverflowIsSeenOnTheAlternateStack) {
    EXPECT_EQ(SIGSEGV, signal_of([] { overflow(0); }));
    EXPECT_NE(nullptr, seen.si_addr);
}

volatile int handled;
void skip_two_bytes(int, siginfo_t*, void* context) {
    handled = handled + 1;
    static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP] += 2;
}

TEST_F(SignalsFault, HandlerMaySkipTheInstruction) {
    struct sigaction action = {};
    action.sa_sigaction = skip_two_bytes;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, nullptr);
    handled = 0;
    asm volatile("ud2\n ud2");
    EXPECT_EQ(2, handled);
}

char* unprotected_page;
size_t unprotected_size;
void unprotect(int, siginfo_t*, void*) {
    handled = handled + 1;
    mprotect(unprotected_page, unprotected_size, PROT_READ | PROT_WRITE);
}

TEST_F(SignalsFault, HandlerMayRepairAndRetry) {
    struct sigaction action = {};
    action.sa_sigaction = unprotect;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, nullptr);
    handled = 0;
    unprotected_size = page_size_;
    unprotected_page = static_cast<char*>(
        mmap(nullptr, page_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    *static_cast<volatile char*>(unprotected_page) = 42;
    EXPECT_EQ(1, handled);
    EXPECT_EQ(42, *unprotected_page);
    munmap(unprotected_page, page_size_);
}

TEST_F(SignalsFault, BadPointersOfCallsAreNoFaults) {
    EXPECT_EQ(0, signal_of([] {
        EXPECT_EQ(-1, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, 8));
        EXPECT_EQ(EFAULT, errno);
        EXPECT_EQ(-1, syscall(SYS_uname, 0xffffffff81000000));
        EXPECT_EQ(EFAULT, errno);
        EXPECT_EQ(-1, syscall(SYS_uname, 0x7ffffffff000));
        EXPECT_EQ(EFAULT, errno);
        EXPECT_EQ(-1, syscall(SYS_uname, 0x8000000000000000));
        EXPECT_EQ(EFAULT, errno);
    }));
}

}  // namespace
