// The formatter on memory of the test's own: what strace prints, and what no strace run shows.
#include <asm/unistd_64.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>

#include "syscall-table/trace/format.h"

namespace coracle::trace {
namespace {

// Memory of the test itself, from begin_ to end_.
constexpr uint64_t kHole = 0x1000;
class OwnMemory final : public MemoryReader {
  public:
    size_t read(void* to, uint64_t from, size_t size) const override {
        if (from < begin_ || from >= end_) return 0;
        size = std::min(size, end_ - from);
        std::memcpy(to, reinterpret_cast<const void*>(from), size);
        return size;
    }
    uint64_t begin_ = kHole + 1;
    uint64_t end_ = UINT64_MAX;
};

uint64_t address(const void* pointer) {
    return reinterpret_cast<uint64_t>(pointer);
}

std::string format(unsigned number, const uint64_t (&arguments)[6], long result,
                   const OwnMemory& memory = {}) {
    CallFormatter formatter(memory);
    formatter.enter(number, arguments);
    formatter.leave(result);
    return std::string(formatter.text());
}

// A string with room behind it: the formatter reads ahead of the NUL.
struct Text {
    explicit Text(const char* text) { std::strncpy(bytes, text, sizeof(bytes) - 1); }
    char bytes[4096] = {};
};

TEST(TraceFormat, OpenAt) {
    const Text path("/etc/passwd");
    EXPECT_EQ(
        format(__NR_openat, {0xffffff9c, address(path.bytes), O_RDONLY | O_CLOEXEC, 0, 0, 0}, 3),
        "openat(AT_FDCWD, \"/etc/passwd\", O_RDONLY|O_CLOEXEC) = 3\n");
}

TEST(TraceFormat, ErrorsHaveNameAndText) {
    EXPECT_EQ(format(__NR_close, {99}, -EBADF),
              "close(99)                               = -1 EBADF (Bad file descriptor)\n");
    EXPECT_EQ(
        format(__NR_pause, {}, -512),
        "pause()                                 = ? ERESTARTSYS (To be restarted if SA_RESTART"
        " is set)\n");
}

TEST(TraceFormat, ArgumentsAreReadWithTheWidthOfTheirType) {
    EXPECT_EQ(format(__NR_close, {0xdeadbeefffffffff}, 0),
              "close(-1)                               = 0\n");
}

TEST(TraceFormat, UnreadablePointersAreNumbers) {
    EXPECT_EQ(format(__NR_chdir, {kHole}, -EFAULT),
              "chdir(0x1000)                           = -1 EFAULT (Bad address)\n");
    EXPECT_EQ(format(__NR_writev, {1, kHole, 2}, -EFAULT),
              "writev(1, 0x1000, 2)                    = -1 EFAULT (Bad address)\n");
}

TEST(TraceFormat, StringThatRunsIntoAHoleIsANumber) {
    static char text[] = "no end";
    OwnMemory memory;
    memory.end_ = address(text) + 6;
    EXPECT_EQ(format(__NR_chdir, {address(text)}, -EFAULT, memory).find('"'), std::string::npos);
}

TEST(TraceFormat, OutputIsAnAddressWhenTheCallFailed) {
    struct stat stat = {};
    const std::string line = format(__NR_fstat, {9, address(&stat)}, -EBADF);
    EXPECT_EQ(line.find("st_mode"), std::string::npos);
    EXPECT_NE(line.find("fstat(9, 0x"), std::string::npos);
}

TEST(TraceFormat, InputIsReadBeforeTheCallAndOutputAfterIt) {
    char buffer[4096] = "before";
    const OwnMemory memory;
    CallFormatter formatter(memory);
    formatter.enter(__NR_read, {0, address(buffer), 100});
    EXPECT_EQ(formatter.text(), "read(0");
    std::strcpy(buffer, "after");
    formatter.leave(5);
    EXPECT_EQ(formatter.text(), "read(0, \"after\", 100)                   = 5\n");
}

TEST(TraceFormat, BytesAreCutAndEscaped) {
    const Text text(
        "\x01"
        "2\377\n\t\"\\ and so on for more than thirty-two");
    EXPECT_EQ(format(__NR_write, {1, address(text.bytes), 46}, 46),
              "write(1, \"\\0012\\377\\n\\t\\\"\\\\ and so on for more than \"..., 46) = 46\n");
}

TEST(TraceFormat, CallsThatDoNotReturn) {
    const OwnMemory memory;
    CallFormatter formatter(memory);
    formatter.enter(__NR_exit_group, {3});
    formatter.leave_for_ever();
    EXPECT_EQ(formatter.text(), "exit_group(3)                           = ?\n");
    EXPECT_TRUE(never_returns(__NR_exit_group));
    EXPECT_FALSE(never_returns(__NR_read));
}

TEST(TraceFormat, UnknownNumbers) {
    EXPECT_EQ(
        format(500, {1, 2, 3, 4, 5, 6}, -ENOSYS),
        "syscall_0x1f4(0x1, 0x2, 0x3, 0x4, 0x5, 0x6) = -1 ENOSYS (Function not implemented)\n");
    EXPECT_TRUE(format(100000, {}, -ENOSYS).starts_with("syscall_0x186a0("));
}

TEST(TraceFormat, LongLinesAreCutButTellTheResult) {
    static Text paths[2] = {Text(std::string(4000, 'a').c_str()),
                            Text(std::string(4000, 'b').c_str())};
    const std::string line =
        format(__NR_rename, {address(paths[0].bytes), address(paths[1].bytes)}, -ENAMETOOLONG);
    EXPECT_LE(line.size(), Line::kCapacity);
    EXPECT_TRUE(line.ends_with("...) = -1 ENAMETOOLONG (File name too long)\n")) << line;
}

// No value of any argument may make the formatter read out of bounds or hang: the program chooses
// them all.
TEST(TraceFormat, SurvivesEveryCallWithHostileArguments) {
    static uint64_t memory_of_ones[4096];
    std::memset(memory_of_ones, 0xff, sizeof(memory_of_ones));
    OwnMemory memory;
    memory.begin_ = address(memory_of_ones);
    memory.end_ = address(memory_of_ones) + sizeof(memory_of_ones);
    const uint64_t values[] = {
        0, 1, kHole, UINT64_MAX, 0x8000000000000000, address(memory_of_ones), memory.end_ - 1};
    for (unsigned number = 0; number < 512; ++number) {
        for (uint64_t value : values) {
            for (long result : {0L, 1L, -1L, -4096L, INT64_MAX}) {
                const uint64_t other = address(memory_of_ones);
                EXPECT_TRUE(
                    format(number, {value, value, value, value, value, value}, result, memory)
                        .ends_with('\n'));
                EXPECT_TRUE(
                    format(number, {value, other, value, other, value, other}, result, memory)
                        .ends_with('\n'));
                EXPECT_TRUE(
                    format(number, {other, value, other, value, other, value}, result, memory)
                        .ends_with('\n'));
            }
        }
    }
}

TEST(TraceFormat, Signals) {
    SignalInfo info;
    info.signo = kSigSegv;
    info.code = kSegvMaperr;
    info.fault = {0x1234, 0};
    Line line;
    format_signal(line, info);
    EXPECT_EQ(line.text(),
              "--- SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_MAPERR, si_addr=0x1234} ---\n");
}

TEST(TraceFormat, Exit) {
    Line exited, killed;
    format_exit(exited, 3 << 8);
    EXPECT_EQ(exited.text(), "+++ exited with 3 +++\n");
    format_exit(killed, kSigSegv | 0x80);
    EXPECT_EQ(killed.text(), "+++ killed by SIGSEGV (core dumped) +++\n");
}

}  // namespace
}  // namespace coracle::trace
