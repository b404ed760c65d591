// Ids, groups, sessions, capabilities, names.
#include <errno.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

namespace {

constexpr int kNobody = 0x3ffffffe;

TEST(ProcessIdentity, ProcessAndThread) {
    EXPECT_GT(getpid(), 0);
    EXPECT_EQ(getpid(), syscall(SYS_gettid)) << "the first thread";
    EXPECT_GE(getppid(), 0);
    EXPECT_EQ(getpgrp(), getpgid(0));
    EXPECT_EQ(getsid(0), getsid(getpid()));
    EXPECT_EQ(-1, getpgid(kNobody));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, getsid(kNobody));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, setpgid(0, -1));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, setpgid(kNobody, 0));
    EXPECT_EQ(ESRCH, errno);
}

TEST(ProcessIdentity, UserIdsAnswerConsistently) {
    uid_t real, effective, saved;
    ASSERT_EQ(0, getresuid(&real, &effective, &saved));
    EXPECT_EQ(getuid(), real);
    EXPECT_EQ(geteuid(), effective);
    gid_t real_group, effective_group, saved_group;
    ASSERT_EQ(0, getresgid(&real_group, &effective_group, &saved_group));
    EXPECT_EQ(getgid(), real_group);
    EXPECT_EQ(getegid(), effective_group);
    EXPECT_EQ(-1, syscall(SYS_getresuid, &real, 8, &saved));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_setuid, -1));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_setgid, -1));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, setresuid(static_cast<uid_t>(-1), static_cast<uid_t>(-1), static_cast<uid_t>(-1)));
    EXPECT_EQ(static_cast<int>(effective), setfsuid(static_cast<uid_t>(-1)));
}

// Raw calls: glibc's setresuid changes every thread's ids in a way of its own.
TEST(ProcessIdentity, RootMayBecomeAnotherUserAndReturn) {
    if (geteuid() != 0) GTEST_SKIP() << "not root";
    ASSERT_EQ(0, syscall(SYS_setresuid, -1, 1234, -1));
    EXPECT_EQ(1234u, geteuid());
    EXPECT_EQ(0u, getuid());
    EXPECT_EQ(1234, setfsuid(1234)) << "follows the effective id";
    EXPECT_EQ(-1, syscall(SYS_setresuid, 77, -1, -1));
    EXPECT_EQ(EPERM, errno);
    EXPECT_EQ(-1, syscall(SYS_setgid, 77));
    EXPECT_EQ(EPERM, errno);
    gid_t group = 5;
    EXPECT_EQ(-1, syscall(SYS_setgroups, 1, &group));
    EXPECT_EQ(EPERM, errno);
    ASSERT_EQ(0, syscall(SYS_setresuid, -1, 0, -1));
    EXPECT_EQ(0u, geteuid());
    ASSERT_EQ(0, syscall(SYS_setregid, -1, 99));
    EXPECT_EQ(99u, getegid());
    ASSERT_EQ(0, syscall(SYS_setresgid, 0, 0, 0));
}

TEST(ProcessIdentity, SupplementaryGroups) {
    gid_t old[256];
    const int old_count = getgroups(256, old);
    ASSERT_GE(old_count, 0);
    EXPECT_EQ(-1, syscall(SYS_getgroups, -1, nullptr));
    EXPECT_EQ(EINVAL, errno);
    if (geteuid() != 0) GTEST_SKIP() << "not root";
    const gid_t groups[] = {30, 10, 20};
    ASSERT_EQ(0, syscall(SYS_setgroups, 3, groups));
    gid_t now[4] = {};
    EXPECT_EQ(3, getgroups(0, nullptr));
    EXPECT_EQ(-1, getgroups(2, now));
    EXPECT_EQ(EINVAL, errno);
    ASSERT_EQ(3, getgroups(4, now));
    EXPECT_EQ(10u, now[0]) << "sorted";
    EXPECT_EQ(30u, now[2]);
    EXPECT_EQ(-1, syscall(SYS_setgroups, 65537, groups));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_setgroups, 2, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, syscall(SYS_getgroups, 4, 8));
    EXPECT_EQ(EFAULT, errno);
    ASSERT_EQ(0, syscall(SYS_setgroups, old_count, old));
}

TEST(ProcessIdentity, Capabilities) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2] = {};
    ASSERT_EQ(0, syscall(SYS_capget, &header, data));
    if (geteuid() == 0) {
        EXPECT_NE(0u, data[0].effective & (1u << CAP_CHOWN));
        EXPECT_NE(0u, data[0].permitted & (1u << CAP_SETUID));
    }
    EXPECT_EQ(0, syscall(SYS_capset, &header, data)) << "what it has, it may keep";
    data[1].permitted = ~0u;
    data[0].permitted = ~0u;
    data[0].effective = ~0u;
    data[0].inheritable = 0;
    header.pid = kNobody;
    EXPECT_EQ(-1, syscall(SYS_capget, &header, data));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, syscall(SYS_capset, &header, data));
    EXPECT_EQ(EPERM, errno);
    header = {0x12345678, 0};
    EXPECT_EQ(-1, syscall(SYS_capget, &header, data));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(static_cast<unsigned>(_LINUX_CAPABILITY_VERSION_3), header.version);
    header = {0, 0};
    EXPECT_EQ(0, syscall(SYS_capget, &header, nullptr)) << "a question for the version";
    EXPECT_EQ(-1, syscall(SYS_capget, 8, nullptr));
    EXPECT_EQ(EFAULT, errno);
}

TEST(ProcessIdentity, UnameTellsLinux) {
    utsname name;
    ASSERT_EQ(0, uname(&name));
    EXPECT_STREQ("Linux", name.sysname);
    EXPECT_STREQ("x86_64", name.machine);
    int major = 0, minor = 0, patch = -1;
    EXPECT_EQ(3, sscanf(name.release, "%d.%d.%d", &major, &minor, &patch)) << name.release;
    EXPECT_GE(major, 5);
    EXPECT_EQ('#', name.version[0]);
    EXPECT_NE(0u, strlen(name.nodename));
    EXPECT_EQ(-1, syscall(SYS_uname, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST(ProcessIdentity, SysinfoIsPlausible) {
    struct sysinfo info;
    ASSERT_EQ(0, sysinfo(&info));
    EXPECT_GT(info.totalram * info.mem_unit, 8u << 20);
    EXPECT_LT(info.freeram, info.totalram);
    EXPECT_GE(info.procs, 1);
    EXPECT_GE(info.uptime, 0);
    EXPECT_EQ(-1, syscall(SYS_sysinfo, 8));
    EXPECT_EQ(EFAULT, errno);
}

TEST(ProcessIdentity, RandomBytes) {
    unsigned char bytes[512] = {};
    ASSERT_EQ(512, getrandom(bytes, sizeof(bytes), 0));
    int zeroes = 0;
    for (unsigned char byte : bytes) zeroes += byte == 0;
    EXPECT_LT(zeroes, 20);
    EXPECT_EQ(0, getrandom(bytes, 0, 0));
    EXPECT_EQ(-1, getrandom(bytes, 1, 0x100));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, getrandom(bytes, 1, GRND_RANDOM | GRND_INSECURE));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, syscall(SYS_getrandom, 8, 16, 0));
    EXPECT_EQ(EFAULT, errno);
}

TEST(ProcessIdentity, NoChildrenToWaitFor) {
    int status;
    EXPECT_EQ(-1, waitpid(-1, &status, 0));
    EXPECT_EQ(ECHILD, errno);
    EXPECT_EQ(-1, waitpid(kNobody, &status, WNOHANG));
    EXPECT_EQ(ECHILD, errno);
    EXPECT_EQ(-1, waitpid(INT_MIN, &status, 0));
    EXPECT_EQ(ESRCH, errno);
    EXPECT_EQ(-1, waitpid(-1, &status, 0x10000));
    EXPECT_EQ(EINVAL, errno);
    siginfo_t info;
    EXPECT_EQ(-1, waitid(P_ALL, 0, &info, WEXITED));
    EXPECT_EQ(ECHILD, errno);
    EXPECT_EQ(-1, waitid(P_ALL, 0, &info, WNOHANG));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(-1, waitid(static_cast<idtype_t>(9), 0, &info, WEXITED));
    EXPECT_EQ(EINVAL, errno);
}

TEST(ProcessIdentity, NameOfTheThread) {
    char old[16] = {}, name[16] = {};
    ASSERT_EQ(0, prctl(PR_GET_NAME, old));
    ASSERT_EQ(0, prctl(PR_SET_NAME, "a name that is too long"));
    ASSERT_EQ(0, prctl(PR_GET_NAME, name));
    EXPECT_STREQ("a name that is ", name);
    EXPECT_EQ(-1, prctl(PR_SET_NAME, 8));
    EXPECT_EQ(EFAULT, errno);
    EXPECT_EQ(-1, prctl(PR_GET_NAME, 8));
    EXPECT_EQ(EFAULT, errno);
    ASSERT_EQ(0, prctl(PR_SET_NAME, old));
}

TEST(ProcessIdentity, ProcessOptions) {
    int value = -1;
    EXPECT_EQ(0, prctl(PR_SET_PDEATHSIG, SIGUSR1));
    EXPECT_EQ(0, prctl(PR_GET_PDEATHSIG, &value));
    EXPECT_EQ(SIGUSR1, value);
    EXPECT_EQ(0, prctl(PR_SET_PDEATHSIG, 0));
    EXPECT_EQ(-1, prctl(PR_SET_PDEATHSIG, 65));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, prctl(PR_SET_DUMPABLE, 0));
    EXPECT_EQ(0, prctl(PR_GET_DUMPABLE));
    EXPECT_EQ(0, prctl(PR_SET_DUMPABLE, 1));
    EXPECT_EQ(1, prctl(PR_GET_DUMPABLE));
    EXPECT_EQ(-1, prctl(PR_SET_DUMPABLE, 2));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, prctl(PR_GET_KEEPCAPS));
    EXPECT_EQ(-1, prctl(PR_SET_KEEPCAPS, 2));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(1, prctl(PR_CAPBSET_READ, CAP_CHOWN));
    EXPECT_EQ(-1, prctl(PR_CAPBSET_READ, 99));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
    EXPECT_EQ(0, prctl(PR_GET_CHILD_SUBREAPER, &value));
    EXPECT_EQ(1, value);
    EXPECT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 0));
    EXPECT_EQ(0, prctl(PR_SET_TIMERSLACK, 12345));
    EXPECT_EQ(12345, prctl(PR_GET_TIMERSLACK));
    EXPECT_EQ(0, prctl(PR_SET_TIMERSLACK, 0));
    EXPECT_EQ(50000, prctl(PR_GET_TIMERSLACK));
    EXPECT_EQ(-1, prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    EXPECT_EQ(EINVAL, errno);
    EXPECT_EQ(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    EXPECT_EQ(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    EXPECT_EQ(-1, prctl(-77));
    EXPECT_EQ(EINVAL, errno);
}

TEST(ProcessIdentity, Personality) {
    const int old = personality(0xffffffff);
    ASSERT_GE(old, 0);
    EXPECT_EQ(old, personality(static_cast<unsigned long>(old) | ADDR_NO_RANDOMIZE));
    EXPECT_EQ(old | ADDR_NO_RANDOMIZE, personality(0xffffffff));
    personality(static_cast<unsigned long>(old));
}

}  // namespace
