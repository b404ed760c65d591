// Pointers that no program should pass: every one is EFAULT, and nothing else happens.
#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

#include "memory_support.h"

namespace {

class HostilePointers : public testing::TestWithParam<uintptr_t> {
  protected:
    long pointer() const { return static_cast<long>(GetParam()); }
};

TEST_P(HostilePointers, AsOutput) {
    long bad = pointer();
    int zero = open("/dev/zero", O_RDONLY);
    EXPECT_ERRNO(EFAULT, syscall(SYS_read, zero, bad, 16));
    EXPECT_ERRNO(EFAULT, syscall(SYS_fstat, zero, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_uname, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_getrandom, bad, 16, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_getcwd, bad, 100));
    EXPECT_ERRNO(EFAULT, syscall(SYS_sysinfo, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_prlimit64, 0, RLIMIT_STACK, nullptr, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_rt_sigaction, SIGUSR1, nullptr, bad, 8));
    EXPECT_ERRNO(EFAULT, syscall(SYS_pipe, bad));
    close(zero);
}

TEST_P(HostilePointers, AsInput) {
    long bad = pointer();
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    EXPECT_ERRNO(EFAULT, syscall(SYS_write, fds[1], bad, 16));
    EXPECT_ERRNO(EFAULT, syscall(SYS_open, bad, O_RDONLY));
    EXPECT_ERRNO(EFAULT, syscall(SYS_stat, bad, bad));
    EXPECT_ERRNO(EFAULT, syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, nullptr, 8));
    EXPECT_ERRNO(EFAULT, syscall(SYS_writev, fds[1], bad, 1));
    EXPECT_ERRNO(EFAULT, syscall(SYS_poll, bad, 1, 0));
    EXPECT_ERRNO(EFAULT, syscall(SYS_nanosleep, bad, nullptr));
    close(fds[0]);
    close(fds[1]);
}

INSTANTIATE_TEST_SUITE_P(Addresses, HostilePointers,
                         testing::Values(8, 0x7ffffffff000, 0x800000000000, 0x1234567812345678,
                                         0xffff888000100000, 0xffffffff80100000, -4096ul, -8ul));

TEST(HostileRanges, PartOfABufferIsWritten) {
    Mapping map(2 * kPage);
    ASSERT_EQ(mprotect(map.page(1), kPage, PROT_READ), 0);
    int zero = open("/dev/zero", O_RDONLY);
    memset(map.data(), 1, kPage);
    ssize_t count = read(zero, map.page(1) - 100, 200);
    EXPECT_TRUE(count == 100 || (count == -1 && errno == EFAULT)) << count;
    EXPECT_EQ(map[kPage - 100], 0);
    close(zero);
}

TEST(HostileRanges, StringThatRunsIntoAHole) {
    Mapping map(2 * kPage);
    memset(map.data(), 'a', kPage);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    EXPECT_ERRNO(EFAULT, open(map.page(1) - 100, O_RDONLY));
    strcpy(map.page(1) - 5, "/tmp");
    int fd = open(map.page(1) - 5, O_RDONLY);
    EXPECT_GE(fd, 0);
    close(fd);
}

TEST(HostileRanges, KernelWritesIntoUntouchedAndReadOnlyMemory) {
    Mapping map(3 * kHugePage);
    int zero = open("/dev/zero", O_RDONLY);
    EXPECT_EQ(read(zero, map.data(), map.size()), static_cast<ssize_t>(map.size()));
    close(zero);
    Mapping read_only(kPage, PROT_READ);
    struct utsname* name = reinterpret_cast<struct utsname*>(read_only.data());
    EXPECT_ERRNO(EFAULT, syscall(SYS_uname, name));
}

}  // namespace
