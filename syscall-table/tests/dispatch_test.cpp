// What a thunk does between the registers of a program and a handler's parameters.
#include <gtest/gtest.h>

#include "handlers.h"
#include "syscall-table/thunks.h"

namespace coracle {

namespace {
struct Seen {
    long flag = 0;
    unsigned long word = 0;
    long wide = 0;
    uint64_t address = 0;
    long offset = 0;
} seen;

constexpr uint64_t kGarbage = 0xdeadbeef00000000;

long call(unsigned number, uint64_t a0 = 0, uint64_t a1 = 0, uint64_t a2 = 0, uint64_t a3 = 0,
          uint64_t a4 = 0, uint64_t a5 = 0) {
    Result<long> result = kSyscallThunks[number](a0, a1, a2, a3, a4, a5, number);
    return to_return_value(result);
}
}  // namespace

Result<long> sys_read(int fd, UserOut<char> buf, size_t count) {
    seen = {.flag = fd, .address = buf.address(), .offset = static_cast<long>(count)};
    return static_cast<long>(count);
}

Result<long> sys_mixed(int flag, unsigned int word, long wide, UserIn<char> path, int64_t offset) {
    seen = {flag, word, wide, path.address(), offset};
    return wide;
}

Result<long> sys_fail(int code) {
    return Error(code);
}

namespace {

TEST(SyscallThunk, TakesLow32BitsOfDescriptorsWithTheirSign) {
    EXPECT_EQ(call(0, kGarbage | 0xffffff9c, 0x7fff00001000, 12), 12);
    EXPECT_EQ(seen.flag, -100);
    EXPECT_EQ(seen.address, 0x7fff00001000u);
}

TEST(SyscallThunk, KeepsAll64BitsOfSizes) {
    EXPECT_EQ(call(0, 3, 0, 0x7fffffffffffffff), 0x7fffffffffffffff);
}

TEST(SyscallThunk, CastsEachArgumentByItsType) {
    call(1, kGarbage | 0x80000000, kGarbage | 0x80000000, kGarbage | 1, 0xffff800000000000,
         kGarbage, ~uint64_t{0});
    EXPECT_EQ(seen.flag, INT32_MIN);
    EXPECT_EQ(seen.word, 0x80000000u);
    EXPECT_EQ(seen.wide, static_cast<long>(kGarbage | 1));
    EXPECT_EQ(seen.address, 0xffff800000000000);
    EXPECT_EQ(seen.offset, -1) << "the unused fifth register must not be passed";
}

TEST(SyscallThunk, TurnsErrorsIntoNegativeErrno) {
    EXPECT_EQ(call(2, EBADF), -EBADF);
    EXPECT_EQ(call(2, kErestartsys), -512);
}

TEST(SyscallThunk, UnsupportedCallsFailAsTheTableSaysAndAreCounted) {
    uint32_t before = g_unsupported_calls[3];
    EXPECT_EQ(call(3), -EPERM);
    EXPECT_EQ(g_unsupported_calls[3], before + 1);
}

TEST(SyscallThunk, EveryOtherNumberIsEnosys) {
    for (unsigned number = 4; number < kCallCount; ++number) {
        ASSERT_NE(kSyscallThunks[number], nullptr) << number;
        EXPECT_EQ(call(number), -ENOSYS) << number;
        EXPECT_EQ(g_unsupported_calls[number], 1u) << number;
    }
}

}  // namespace
}  // namespace coracle
