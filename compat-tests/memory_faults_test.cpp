// What a bad access gives: the signal, its code and its address.
#include <sys/resource.h>

#include "memory_support.h"

namespace {

TEST(Faults, Null) {
    EXPECT_EQ(fault_of_read(nullptr), segv_maperr(nullptr));
    EXPECT_EQ(fault_of_write(reinterpret_cast<void*>(8)), segv_maperr(reinterpret_cast<void*>(8)));
}

TEST(Faults, CallOfNull) {
    volatile uintptr_t target = 0;
    EXPECT_EQ(fault_of([&] { reinterpret_cast<void (*)()>(target)(); }), segv_maperr(nullptr));
}

TEST(Faults, KernelHalf) {
    void* kernel = reinterpret_cast<void*>(0xfffff00000001000);
    auto fault = fault_of_read(kernel);
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->signal, SIGSEGV);
    EXPECT_EQ(fault->address, kernel);
}

TEST(Faults, NoncanonicalAddress) {
    auto fault = fault_of_read(reinterpret_cast<void*>(0x1234567812345678));
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->signal, SIGSEGV);
    EXPECT_EQ(fault->code, SI_KERNEL);
    EXPECT_EQ(fault->address, nullptr);
}

TEST(Faults, AddressIsExact) {
    Mapping map(2 * kPage);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_EQ(fault_of_write(map.page(1) + 123), segv_maperr(map.page(1) + 123));
    // An access over the border faults at the border.
    EXPECT_EQ(fault_of([&] { *reinterpret_cast<volatile uint64_t*>(map.page(1) - 4) = 1; }),
              segv_maperr(map.page(1)));
}

TEST(Faults, ManyInARow) {
    Mapping map(kPage, PROT_READ);
    for (int i = 0; i < 1000; i++)
        ASSERT_EQ(fault_of_write(map.data() + i), segv_accerr(map.data() + i));
}

TEST(Faults, HandlerMayMakeThePage) {
    static char* page;
    Mapping map(kPage, PROT_NONE);
    page = map.data();
    struct sigaction handler = {}, old;
    handler.sa_handler = [](int) { mprotect(page, kPage, PROT_READ | PROT_WRITE); };
    sigaction(SIGSEGV, &handler, &old);
    *static_cast<volatile char*>(page) = 77;
    sigaction(SIGSEGV, &old, nullptr);
    EXPECT_EQ(map[0], 77);
}

__attribute__((noinline)) int recurse(int depth) {
    volatile char frame[4096];
    frame[0] = static_cast<char>(depth);
    if (depth == 100'000'000) return 0;
    return recurse(depth + 1) + frame[0];
}

TEST(Faults, StackOverflow) {
    static char stack[64 * 1024];
    stack_t alternate = {stack, 0, sizeof(stack)}, old_stack;
    ASSERT_EQ(sigaltstack(&alternate, &old_stack), 0);
    struct sigaction handler = {}, old;
    handler.sa_sigaction = fault_detail::on_fault;
    handler.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &handler, &old);
    volatile bool overflowed = false;
    if (sigsetjmp(fault_detail::jump, 1) == 0) {
        recurse(0);
    } else {
        overflowed = true;
    }
    sigaction(SIGSEGV, &old, nullptr);
    sigaltstack(&old_stack, nullptr);
    EXPECT_TRUE(overflowed);
    EXPECT_EQ(fault_detail::caught.signal, SIGSEGV);
}

TEST(Faults, StackGrowsOnDemand) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_cur < (8 << 20)) GTEST_SKIP() << "small stack";
    auto touch = [] {
        volatile char* deep = static_cast<volatile char*>(__builtin_alloca(6 << 20));
        deep[0] = 1;
        return deep[0];
    };
    EXPECT_EQ(touch(), 1);
}

TEST(Faults, GrowsdownMappingGrows) {
    Mapping space(512 * kPage, PROT_NONE);
    ASSERT_EQ(munmap(space.data(), space.size()), 0);
    char* top = space.page(511);
    ASSERT_EQ(mmap(top, kPage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0),
              top);
    EXPECT_EQ(fault_of_write(top - 1), std::nullopt);
    EXPECT_EQ(fault_of_write(top - 20 * kPage), std::nullopt);
    munmap(top - 21 * kPage, 22 * kPage);
}

}  // namespace
