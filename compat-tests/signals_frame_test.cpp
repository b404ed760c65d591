// The handler's frame: every register is kept, may be changed, and comes back.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

// Fills every register, executes ud2, and tells what they hold then: out[i] is to be i + 1 and
// out[15] what lay in the red zone; *x87 and the vector go through st(0) and xmm15.
extern "C" void signals_frame_probe(uint64_t* out, const void* vector, void* vector_out,
                                    long double* x87);
asm(R"(
.text
signals_frame_probe:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rdi
    push %rdx
    push %rcx
    fldt (%rcx)
    movups (%rsi), %xmm15
    mov $1, %rax
    mov $2, %rbx
    mov $3, %rcx
    mov $4, %rbp
    mov $5, %r8
    mov $6, %r9
    mov $7, %r10
    mov $8, %r11
    mov $9, %r12
    mov $10, %r13
    mov $11, %r14
    mov $12, %r15
    mov $13, %rdi
    mov $14, %rsi
    mov $15, %rdx
    movq $0x77, -120(%rsp)
    ud2
    xchg %rdi, 16(%rsp)
    mov %rax, 0(%rdi)
    mov %rbx, 8(%rdi)
    mov %rcx, 16(%rdi)
    mov %rbp, 24(%rdi)
    mov %r8, 32(%rdi)
    mov %r9, 40(%rdi)
    mov %r10, 48(%rdi)
    mov %r11, 56(%rdi)
    mov %r12, 64(%rdi)
    mov %r13, 72(%rdi)
    mov %r14, 80(%rdi)
    mov %r15, 88(%rdi)
    mov 16(%rsp), %rax
    mov %rax, 96(%rdi)
    mov %rsi, 104(%rdi)
    mov %rdx, 112(%rdi)
    mov -120(%rsp), %rax
    mov %rax, 120(%rdi)
    pop %rcx
    pop %rdx
    pop %rax
    movups %xmm15, (%rdx)
    fstpt (%rcx)
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret
)");

namespace {

constexpr uint32_t kMagic1 = 0x46505853, kMagic2 = 0x46505845;

ucontext_t* seen_context;
uint64_t seen_flags, seen_mask, seen_stack_pointer, seen_frame;
uint32_t seen_mxcsr;
uint16_t seen_x87_control;
uint32_t magic1, magic2, extended_size, xstate_size;
bool direction_flag, is_aligned;

struct SoftwareBytes {
    uint32_t magic1, extended_size;
    uint64_t features;
    uint32_t xstate_size, padding[7];
};

void inspect(int, siginfo_t*, void* raw) {
    auto* context = static_cast<ucontext_t*>(raw);
    uint64_t flags;
    asm volatile("pushfq\n pop %0" : "=r"(flags));
    direction_flag = flags & 0x400;
    asm volatile("stmxcsr %0" : "=m"(seen_mxcsr));
    asm volatile("fnstcw %0" : "=m"(seen_x87_control));
    seen_context = context;
    seen_flags = context->uc_flags;
    memcpy(&seen_mask, &context->uc_sigmask, sizeof(seen_mask));
    auto* state = reinterpret_cast<char*>(context->uc_mcontext.fpregs);
    is_aligned = reinterpret_cast<uint64_t>(state) % 64 == 0 &&
                 (reinterpret_cast<uint64_t>(raw) - 8) % 16 == 8;
    SoftwareBytes software;
    memcpy(&software, state + 464, sizeof(software));
    magic1 = software.magic1;
    extended_size = software.extended_size;
    xstate_size = software.xstate_size;
    memcpy(&magic2, state + xstate_size, sizeof(magic2));
    seen_frame = reinterpret_cast<uint64_t>(raw) - 8;
    seen_stack_pointer = static_cast<uint64_t>(context->uc_mcontext.gregs[REG_RSP]);
}

void set_handler(int signo, void (*handler)(int, siginfo_t*, void*), int flags = 0) {
    struct sigaction action = {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    sigemptyset(&action.sa_mask);
    ASSERT_EQ(0, sigaction(signo, &action, nullptr));
}

class SignalsFrame : public ::testing::Test {
  protected:
    void TearDown() override {
        signal(SIGUSR1, SIG_DFL);
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
    }
};

TEST_F(SignalsFrame, LayoutIsLinuxs) {
    set_handler(SIGUSR1, inspect);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    raise(SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, nullptr);
    EXPECT_EQ(7u, seen_flags) << "UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS";
    EXPECT_EQ(1ul << (SIGUSR2 - 1), seen_mask);
    EXPECT_TRUE(is_aligned);
    EXPECT_EQ(kMagic1, magic1);
    EXPECT_EQ(kMagic2, magic2);
    EXPECT_EQ(extended_size, xstate_size + 4);
    EXPECT_GE(xstate_size, 576u);
    EXPECT_LE(seen_frame + sizeof(uint64_t), seen_stack_pointer - 128) << "red zone";
}

TEST_F(SignalsFrame, HandlerStartsWithInitialState) {
    set_handler(SIGUSR1, inspect);
    uint32_t mxcsr = 0x1f80 | 0x6000;  // round to zero
    const uint16_t control = 0xf7f;
    asm volatile("ldmxcsr %0" ::"m"(mxcsr));
    asm volatile("fldcw %0" ::"m"(control));
    const pid_t pid = getpid();
    const long tid = syscall(SYS_gettid);
    // std, so that the handler's direction flag shows whether the kernel cleared it.
    long answer;
    uint64_t flags;
    asm volatile(
        "std\n syscall\n pushfq\n pop %1\n cld"
        : "=a"(answer), "=r"(flags)
        : "a"(SYS_tgkill), "D"(pid), "S"(tid), "d"(SIGUSR1)
        : "rcx", "r11", "memory", "cc");
    uint32_t after;
    uint16_t control_after;
    asm volatile("stmxcsr %0" : "=m"(after));
    asm volatile("fnstcw %0" : "=m"(control_after));
    const uint32_t normal = 0x1f80;
    asm volatile("ldmxcsr %0" ::"m"(normal));
    asm volatile("fninit");
    EXPECT_EQ(0, answer);
    EXPECT_TRUE(flags & 0x400) << "and it comes back";
    EXPECT_FALSE(direction_flag);
    EXPECT_EQ(0x1f80u, seen_mxcsr);
    EXPECT_EQ(0x37f, seen_x87_control);
    EXPECT_EQ(mxcsr & ~0x3fu, after & ~0x3fu);
    EXPECT_EQ(control, control_after);
}

void scribble(int, siginfo_t*, void*) {
    asm volatile(
        "pxor %%xmm0, %%xmm0\n pcmpeqd %%xmm1, %%xmm1\n pcmpeqd %%xmm15, %%xmm15\n"
        "fninit\n fldz\n fldz" ::
            : "xmm0", "xmm1", "xmm15");
    if (__builtin_cpu_supports("avx")) asm volatile("vzeroall" ::: "memory");
}

TEST_F(SignalsFrame, EveryRegisterSurvives) {
    set_handler(SIGILL, [](int signo, siginfo_t* info, void* raw) {
        scribble(signo, info, raw);
        static_cast<ucontext_t*>(raw)->uc_mcontext.gregs[REG_RIP] += 2;
    });
    uint64_t out[16] = {};
    const uint64_t vector[2] = {0x1111222233334444, 0x5555666677778888};
    uint64_t vector_out[2] = {};
    long double x87 = 3.25L;
    signals_frame_probe(out, vector, vector_out, &x87);
    for (uint64_t i = 0; i < 15; i++) EXPECT_EQ(i + 1, out[i]) << i;
    EXPECT_EQ(0x77u, out[15]) << "red zone";
    EXPECT_EQ(vector[0], vector_out[0]);
    EXPECT_EQ(vector[1], vector_out[1]);
    EXPECT_EQ(3.25L, x87);
}

TEST_F(SignalsFrame, HandlerMayChangeRegisters) {
    set_handler(SIGILL, [](int, siginfo_t*, void* raw) {
        auto* context = static_cast<ucontext_t*>(raw);
        context->uc_mcontext.gregs[REG_RIP] += 2;
        context->uc_mcontext.gregs[REG_RBX] = 0x1234;
        context->uc_mcontext.gregs[REG_EFL] |= 1;  // carry
        context->uc_mcontext.fpregs->_xmm[3].element[0] = 0xabcdef;
    });
    uint64_t value = 0;
    uint32_t element = 0;
    uint8_t carry = 0;
    asm volatile(
        "xor %%ebx, %%ebx\n pxor %%xmm3, %%xmm3\n clc\n ud2\n setc %2\n mov %%rbx, %0\n"
        "movd %%xmm3, %1"
        : "=r"(value), "=r"(element), "=r"(carry)
        :
        : "rbx", "xmm3", "cc");
    EXPECT_EQ(0x1234u, value);
    EXPECT_EQ(0xabcdefu, element);
    EXPECT_EQ(1, carry);
}

TEST_F(SignalsFrame, WideVectorsSurvive) {
    if (!__builtin_cpu_supports("avx")) GTEST_SKIP() << "no AVX";
    set_handler(SIGILL, [](int signo, siginfo_t* info, void* raw) {
        scribble(signo, info, raw);
        static_cast<ucontext_t*>(raw)->uc_mcontext.gregs[REG_RIP] += 2;
    });
    uint64_t in[4] = {1, 2, 3, 4}, out[4] = {};
    asm volatile("vmovups (%0), %%ymm7\n ud2\n vmovups %%ymm7, (%1)\n vzeroupper" ::"r"(in),
                 "r"(out)
                 : "xmm7", "memory");
    EXPECT_EQ(0, memcmp(in, out, sizeof(in)));
}

TEST_F(SignalsFrame, TheMaskInTheContextCounts) {
    set_handler(SIGUSR1, [](int, siginfo_t*, void* raw) {
        sigaddset(&static_cast<ucontext_t*>(raw)->uc_sigmask, SIGUSR2);
    });
    raise(SIGUSR1);
    sigset_t now;
    sigprocmask(SIG_BLOCK, nullptr, &now);
    EXPECT_TRUE(sigismember(&now, SIGUSR2));
    EXPECT_FALSE(sigismember(&now, SIGUSR1));
    sigemptyset(&now);
    sigprocmask(SIG_SETMASK, &now, nullptr);
}

TEST_F(SignalsFrame, SingleStep) {
    static volatile int steps;
    steps = 0;
    set_handler(SIGTRAP, [](int, siginfo_t* info, void* raw) {
        steps = steps + 1;
        if (info->si_code != TRAP_TRACE) steps = 1000;
        if (steps == 3) {
            static_cast<ucontext_t*>(raw)->uc_mcontext.gregs[REG_EFL] &= ~0x100;
        }
    });
    asm volatile(
        "sub $128, %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n nop\n nop\n nop\n nop\n"
        "add $128, %%rsp" ::
            : "memory", "cc");
    EXPECT_EQ(3, steps);
}

}  // namespace
