// stat, statx, access, chmod, chown, the utime family, truncate, statfs, extended attributes.
#include <linux/magic.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <utime.h>

#include "files_support.h"

namespace {

class StatTest : public FilesTest {
  protected:
    StatTest() : FilesTest("/dev/shm") { write_file("file", "0123456789"); }
    static struct stat stat_of(const char* name) {
        struct stat st = {};
        EXPECT_OK(lstat(name, &st));
        return st;
    }
};

TEST_F(StatTest, TellsWhatAFileIs) {
    struct stat st = stat_of("file");
    EXPECT_EQ(st.st_mode, S_IFREG | 0644u);
    EXPECT_EQ(st.st_nlink, 1u);
    EXPECT_EQ(st.st_size, 10);
    EXPECT_EQ(st.st_blksize, 4096);
    EXPECT_EQ(st.st_blocks, 8);
    EXPECT_EQ(st.st_uid, geteuid());
    EXPECT_EQ(st.st_gid, getegid());
    EXPECT_NE(st.st_ino, 0u);
    struct stat by_descriptor;
    int fd = open("file", O_RDONLY);
    ASSERT_OK(fstat(fd, &by_descriptor));
    EXPECT_EQ(memcmp(&st, &by_descriptor, sizeof(st)), 0);
    ASSERT_OK(fstatat(fd, "", &by_descriptor, AT_EMPTY_PATH));
    EXPECT_EQ(memcmp(&st, &by_descriptor, sizeof(st)), 0);
    EXPECT_ERRNO(fstatat(fd, "", &by_descriptor, 0), ENOENT);
    EXPECT_ERRNO(fstatat(fd, "x", &by_descriptor, 0), ENOTDIR);
    EXPECT_ERRNO(fstatat(fd, "", &by_descriptor, 0x4), EINVAL);
    close(fd);
    EXPECT_ERRNO(fstat(fd, &by_descriptor), EBADF);
    EXPECT_ERRNO(stat("absent", &st), ENOENT);
    EXPECT_ERRNO(stat("file/x", &st), ENOTDIR);
    EXPECT_ERRNO(stat("file", reinterpret_cast<struct stat*>(bad_pointer())), EFAULT);
    EXPECT_ERRNO(stat(bad_pointer(), &st), EFAULT);
    ASSERT_OK(mkdir("d", 0755));
    EXPECT_EQ(stat_of("d").st_nlink, 2u);
    EXPECT_EQ(stat_of("d").st_size, 40);
    write_file("d/x", "");
    EXPECT_EQ(stat_of("d").st_size, 60);
}

TEST_F(StatTest, StatxTellsTheSame) {
    struct stat st = stat_of("file");
    struct statx stx = {};
    ASSERT_OK(statx(AT_FDCWD, "file", 0, STATX_ALL, &stx));
    EXPECT_EQ(stx.stx_mask & STATX_BASIC_STATS, STATX_BASIC_STATS);
    EXPECT_TRUE(stx.stx_mask & STATX_BTIME);
    EXPECT_EQ(stx.stx_ino, st.st_ino);
    EXPECT_EQ(stx.stx_size, 10u);
    EXPECT_EQ(stx.stx_mode, st.st_mode);
    EXPECT_EQ(stx.stx_mtime.tv_sec, st.st_mtim.tv_sec);
    EXPECT_EQ(makedev(stx.stx_dev_major, stx.stx_dev_minor), st.st_dev);
    EXPECT_ERRNO(statx(AT_FDCWD, "file", 0, 0x80000000, &stx), EINVAL);
    EXPECT_ERRNO(statx(AT_FDCWD, "file", AT_STATX_SYNC_TYPE, 0, &stx), EINVAL);
    EXPECT_ERRNO(statx(AT_FDCWD, "file", 0x4, 0, &stx), EINVAL);
    EXPECT_ERRNO(statx(99, "file", 0, 0, &stx), EBADF);
    ASSERT_OK(statx(0, "", AT_EMPTY_PATH, STATX_ALL, &stx));
}

TEST_F(StatTest, AccessAsks) {
    EXPECT_OK(access("file", F_OK));
    EXPECT_OK(access("file", R_OK | W_OK));
    EXPECT_ERRNO(access("file", X_OK), EACCES);  // not even root, without an x bit
    EXPECT_ERRNO(access("file", 8), EINVAL);
    EXPECT_ERRNO(access("absent", F_OK), ENOENT);
    EXPECT_OK(faccessat(AT_FDCWD, "file", R_OK, AT_EACCESS));
    EXPECT_ERRNO(syscall(SYS_faccessat2, AT_FDCWD, "file", R_OK, 0x4), EINVAL);
    ASSERT_OK(symlink("absent", "dangling"));
    EXPECT_ERRNO(access("dangling", F_OK), ENOENT);
    EXPECT_OK(faccessat(AT_FDCWD, "dangling", F_OK, AT_SYMLINK_NOFOLLOW));
}

TEST_F(StatTest, ModesChange) {
    ASSERT_OK(chmod("file", 06711));
    EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 06711u);
    EXPECT_OK(access("file", X_OK));
    int fd = open("file", O_RDONLY);
    ASSERT_OK(fchmod(fd, 0600));
    EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 0600u);
    close(fd);
    ASSERT_OK(fchmodat(AT_FDCWD, "file", 0604, 0));
    EXPECT_EQ(stat_of("file").st_mode, S_IFREG | 0604u);
    EXPECT_ERRNO(chmod("absent", 0600), ENOENT);
    EXPECT_ERRNO(fchmod(99, 0600), EBADF);
    EXPECT_ERRNO(chmod(bad_pointer(), 0600), EFAULT);
    mode_t old = umask(0123);
    EXPECT_EQ(umask(old), 0123u);
}

TEST_F(StatTest, OwnersChange) {
    ASSERT_OK(chmod("file", 06755));
    ASSERT_OK(chown("file", 1234, 5678));
    struct stat st = stat_of("file");
    EXPECT_EQ(st.st_uid, 1234u);
    EXPECT_EQ(st.st_gid, 5678u);
    EXPECT_EQ(st.st_mode, S_IFREG | 0755u);  // the set-id bits are gone
    ASSERT_OK(chown("file", -1, 0));
    EXPECT_EQ(stat_of("file").st_uid, 1234u);
    EXPECT_EQ(stat_of("file").st_gid, 0u);
    ASSERT_OK(symlink("file", "link"));
    ASSERT_OK(lchown("link", 7, 7));
    EXPECT_EQ(stat_of("link").st_uid, 7u);
    EXPECT_EQ(stat_of("file").st_uid, 1234u);
    EXPECT_ERRNO(fchownat(AT_FDCWD, "file", 0, 0, 0x4), EINVAL);
}

TEST_F(StatTest, DirectoriesHandOnTheirGroup) {
    ASSERT_OK(mkdir("d", 0755));
    ASSERT_OK(chown("d", 0, 42));
    ASSERT_OK(chmod("d", 02755));
    write_file("d/file", "");
    EXPECT_EQ(stat_of("d/file").st_gid, 42u);
    ASSERT_OK(mkdir("d/sub", 0755));
    EXPECT_EQ(stat_of("d/sub").st_gid, 42u);
    EXPECT_EQ(stat_of("d/sub").st_mode, S_IFDIR | 02755u);
}

TEST_F(StatTest, TimesChange) {
    timespec times[] = {{111, 222}, {333, 444}};
    ASSERT_OK(utimensat(AT_FDCWD, "file", times, 0));
    struct stat st = stat_of("file");
    EXPECT_EQ(st.st_atim.tv_sec, 111);
    EXPECT_EQ(st.st_atim.tv_nsec, 222);
    EXPECT_EQ(st.st_mtim.tv_sec, 333);
    EXPECT_EQ(st.st_mtim.tv_nsec, 444);
    EXPECT_GT(st.st_ctim.tv_sec, 1000000);
    timespec partly[] = {{0, UTIME_OMIT}, {5, 0}};
    ASSERT_OK(utimensat(AT_FDCWD, "file", partly, 0));
    EXPECT_EQ(stat_of("file").st_atim.tv_sec, 111);
    EXPECT_EQ(stat_of("file").st_mtim.tv_sec, 5);
    int fd = open("file", O_RDONLY);
    ASSERT_OK(futimens(fd, nullptr));
    EXPECT_GT(stat_of("file").st_mtim.tv_sec, 1000000);
    close(fd);
    timespec bad[] = {{0, 1000000000}, {0, 0}};
    EXPECT_ERRNO(utimensat(AT_FDCWD, "file", bad, 0), EINVAL);
    EXPECT_ERRNO(utimensat(AT_FDCWD, "absent", times, 0), ENOENT);
    EXPECT_ERRNO(utimensat(AT_FDCWD, "file", times, 0x4), EINVAL);
    timeval old[] = {{10, 999999}, {20, 5}};
    ASSERT_OK(utimes("file", old));
    EXPECT_EQ(stat_of("file").st_atim.tv_nsec, 999999000);
    utimbuf older = {1, 2};
    ASSERT_OK(utime("file", &older));
    EXPECT_EQ(stat_of("file").st_mtim.tv_sec, 2);
    ASSERT_OK(symlink("file", "link"));
    ASSERT_OK(utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
    EXPECT_EQ(stat_of("link").st_mtim.tv_sec, 333);
    EXPECT_EQ(stat_of("file").st_mtim.tv_sec, 2);
}

TEST_F(StatTest, WritingChangesTimes) {
    timespec times[] = {{1, 0}, {1, 0}};
    ASSERT_OK(utimensat(AT_FDCWD, "file", times, 0));
    EXPECT_EQ(read_file("file"), "0123456789");
    EXPECT_GT(stat_of("file").st_atim.tv_sec, 1000000);  // relatime: not later than mtime
    EXPECT_EQ(stat_of("file").st_mtim.tv_sec, 1);
    int fd = open("file", O_WRONLY);
    EXPECT_EQ(write(fd, "x", 1), 1);
    close(fd);
    EXPECT_GT(stat_of("file").st_mtim.tv_sec, 1000000);
    ASSERT_OK(utimensat(AT_FDCWD, ".", times, 0));
    write_file("another", "");
    EXPECT_GT(stat_of(".").st_mtim.tv_sec, 1000000);
}

TEST_F(StatTest, TruncateCutsAndExtends) {
    ASSERT_OK(truncate("file", 4));
    EXPECT_EQ(read_file("file"), "0123");
    ASSERT_OK(truncate("file", 6));
    EXPECT_EQ(read_file("file"), std::string("0123\0\0", 6));
    EXPECT_ERRNO(truncate("file", -1), EINVAL);
    EXPECT_ERRNO(truncate(".", 0), EISDIR);
    EXPECT_ERRNO(truncate("absent", 0), ENOENT);
    EXPECT_ERRNO(truncate("file/", 0), ENOTDIR);
    ASSERT_OK(mkfifo("fifo", 0600));
    EXPECT_ERRNO(truncate("fifo", 0), EINVAL);
    int fd = open("file", O_RDWR);
    ASSERT_OK(ftruncate(fd, 100000));
    EXPECT_EQ(stat_of("file").st_size, 100000);
    EXPECT_ERRNO(ftruncate(fd, -1), EINVAL);
    close(fd);
}

TEST_F(StatTest, FileSystemsTellTheirKind) {
    struct statfs fs;
    ASSERT_OK(statfs(".", &fs));
    EXPECT_EQ(fs.f_type, TMPFS_MAGIC);
    EXPECT_EQ(fs.f_bsize, 4096);
    EXPECT_EQ(fs.f_namelen, 255);
    EXPECT_GT(fs.f_blocks, 0u);
    EXPECT_LE(fs.f_bfree, fs.f_blocks);
    ASSERT_OK(statfs("/proc", &fs));
    EXPECT_EQ(fs.f_type, PROC_SUPER_MAGIC);
    ASSERT_OK(statfs("/sys", &fs));
    EXPECT_EQ(fs.f_type, SYSFS_MAGIC);
    int fd = open(".", O_RDONLY);
    ASSERT_OK(fstatfs(fd, &fs));
    EXPECT_EQ(fs.f_type, TMPFS_MAGIC);
    close(fd);
    EXPECT_ERRNO(statfs("absent", &fs), ENOENT);
    EXPECT_ERRNO(statfs(".", reinterpret_cast<struct statfs*>(bad_pointer())), EFAULT);
}

TEST_F(StatTest, ExtendedAttributes) {
    char value[16];
    EXPECT_ERRNO(getxattr("file", "security.coracle", value, 16), ENODATA);
    EXPECT_ERRNO(getxattr("file", "nonsense", value, 16), EOPNOTSUPP);
    EXPECT_ERRNO(getxattr("file", "", value, 16), ERANGE);
    EXPECT_ERRNO(getxattr("absent", "security.x", value, 16), ENOENT);
    EXPECT_ERRNO(getxattr("file", std::string(256, 'x').c_str(), value, 16), ERANGE);
    EXPECT_ERRNO(setxattr("file", "security.x", value, 1, 8), EINVAL);
    EXPECT_ERRNO(setxattr("file", "security.x", value, opaque<size_t>(65537), 0), E2BIG);
    EXPECT_ERRNO(fgetxattr(99, "security.x", value, 1), EBADF);
    EXPECT_EQ(listxattr("file", nullptr, 0), 0);
    if (setxattr("file", "trusted.coracle", "value", 5, XATTR_CREATE) != 0) {
        EXPECT_EQ(errno, EPERM);  // without CAP_SYS_ADMIN
        GTEST_SKIP();
    }
    EXPECT_EQ(getxattr("file", "trusted.coracle", value, 16), 5);
    EXPECT_EQ(memcmp(value, "value", 5), 0);
    EXPECT_ERRNO(getxattr("file", "trusted.coracle", value, 2), ERANGE);
    EXPECT_ERRNO(setxattr("file", "trusted.coracle", "v", 1, XATTR_CREATE), EEXIST);
    EXPECT_EQ(listxattr("file", value, 16), 16);
    EXPECT_STREQ(value, "trusted.coracle");
    EXPECT_OK(removexattr("file", "trusted.coracle"));
    EXPECT_ERRNO(removexattr("file", "trusted.coracle"), ENODATA);
}

}  // namespace
