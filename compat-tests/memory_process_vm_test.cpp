// process_vm_readv(2) and process_vm_writev(2) on the process itself; memory policies.
#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "memory_support.h"

namespace {

TEST(ProcessVm, ReadsAcrossSegments) {
    char source[] = "abcdefghij", first[3] = {}, second[8] = {};
    struct iovec local[] = {{first, 3}, {second, 7}};
    struct iovec remote[] = {{source, 5}, {source + 5, 5}};
    EXPECT_EQ(process_vm_readv(getpid(), local, 2, remote, 2, 0), 10);
    EXPECT_EQ(memcmp(first, "abc", 3), 0);
    EXPECT_STREQ(second, "defghij");
}

TEST(ProcessVm, Writes) {
    char source[] = "hello", target[6] = {};
    struct iovec local = {source, 5}, remote = {target, 5};
    EXPECT_EQ(process_vm_writev(getpid(), &local, 1, &remote, 1, 0), 5);
    EXPECT_STREQ(target, "hello");
}

TEST(ProcessVm, Errors) {
    char bytes[16];
    struct iovec good = {bytes, 16}, bad = {reinterpret_cast<void*>(8), 16};
    EXPECT_ERRNO(EINVAL, process_vm_readv(getpid(), &good, 1, &good, 1, 1));
    EXPECT_ERRNO(ESRCH, process_vm_readv(0x3fffffff, &good, 1, &good, 1, 0));
    EXPECT_ERRNO(EFAULT, process_vm_readv(getpid(), &good, 1, &bad, 1, 0));
    EXPECT_ERRNO(EINVAL, process_vm_readv(getpid(), &good, 1025, &good, 1, 0));
    EXPECT_EQ(process_vm_readv(getpid(), &good, 1, &good, 0, 0), 0);
}

TEST(ProcessVm, StopsAtAHole) {
    Mapping map(2 * kPage);
    ASSERT_EQ(munmap(map.page(1), kPage), 0);
    Mapping target(2 * kPage);
    struct iovec local = {target.data(), 2 * kPage}, remote = {map.data(), 2 * kPage};
    EXPECT_EQ(process_vm_readv(getpid(), &local, 1, &remote, 1, 0), static_cast<ssize_t>(kPage));
}

TEST(MemoryPolicy, DefaultAndPreferred) {
    int mode = -1;
    unsigned long nodes[16] = {1};
    ASSERT_EQ(syscall(SYS_get_mempolicy, &mode, nodes, 1024, 0, 0), 0);
    EXPECT_EQ(mode, MPOL_DEFAULT);
    EXPECT_EQ(nodes[0], 0u);
    nodes[0] = 1;
    ASSERT_EQ(syscall(SYS_set_mempolicy, MPOL_BIND, nodes, 64), 0);
    nodes[0] = 0;
    ASSERT_EQ(syscall(SYS_get_mempolicy, &mode, nodes, 1024, 0, 0), 0);
    EXPECT_EQ(mode, MPOL_BIND);
    EXPECT_EQ(nodes[0], 1u);
    EXPECT_EQ(syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0), 0);
    EXPECT_ERRNO(EINVAL, syscall(SYS_set_mempolicy, 77, nullptr, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_set_mempolicy, MPOL_BIND, nullptr, 0));
    EXPECT_ERRNO(EINVAL, syscall(SYS_get_mempolicy, &mode, nodes, 1024, 0, 64));
}

}  // namespace
