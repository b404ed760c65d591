// Resource limits.
#include <errno.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

TEST(ProcessLimits, EveryResourceAnswers) {
    for (int resource = 0; resource < 16; resource++) {
        rlimit limit = {1, 0};
        ASSERT_EQ(0, getrlimit(static_cast<__rlimit_resource_t>(resource), &limit)) << resource;
        EXPECT_LE(limit.rlim_cur, limit.rlim_max) << resource;
    }
}

TEST(ProcessLimits, SoftLimitMayMoveBelowTheHardOne) {
    rlimit old, now;
    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &old));
    rlimit wanted = {old.rlim_max < 512 ? old.rlim_max : 512, old.rlim_max};
    ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &wanted));
    ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &now));
    EXPECT_EQ(wanted.rlim_cur, now.rlim_cur);
    EXPECT_EQ(old.rlim_max, now.rlim_max);
    ASSERT_EQ(0, prlimit(0, RLIMIT_NOFILE, &old, &now));
    EXPECT_EQ(wanted.rlim_cur, now.rlim_cur);
    ASSERT_EQ(0, prlimit(getpid(), RLIMIT_NOFILE, nullptr, &now));
    EXPECT_EQ(old.rlim_cur, now.rlim_cur);
}

TEST(ProcessLimits, RefusesBadArguments) {
    rlimit limit = {10, 5};
    EXPECT_EQ(-1, setrlimit(RLIMIT_CORE, &limit));
    EXPECT_EQ(EINVAL, errno);
    limit = {0, 1ul << 40};
    EXPECT_EQ(-1, setrlimit(RLIMIT_NOFILE, &limit));
    EXPECT_EQ(EPERM, errno) << "more than fs.nr_open, even for root";
    EXPECT_EQ(-1, syscall(SYS_getrlimit, 16, &limit));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_setrlimit, 16, &limit));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_prlimit64, 0x3ffffffe, RLIMIT_CORE, nullptr, &limit));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_getrlimit, RLIMIT_CORE, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_prlimit64, 0, RLIMIT_CORE, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
}

}  // namespace
