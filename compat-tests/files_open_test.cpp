// open, openat, openat2, creat, close, close_range.
#include <linux/close_range.h>
#include <linux/openat2.h>

#include "files_support.h"

namespace {

using OpenTest = FilesTest;

TEST_F(OpenTest, CreatesWithModeAndUmask) {
    mode_t old = umask(027);
    int fd = open("new", O_CREAT | O_RDWR, 0666);
    ASSERT_GE(fd, 0);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_mode, S_IFREG | 0640u);
    EXPECT_EQ(st.st_size, 0);
    close(fd);
    umask(old);
    // A mode without rights binds only those who come later.
    fd = open("closed", O_CREAT | O_RDWR, 0);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(write(fd, "x", 1), 1);
    close(fd);
}

TEST_F(OpenTest, TellsWhatIsWrong) {
    write_file("file", "text");
    ASSERT_OK(mkdir("directory", 0755));
    EXPECT_ERRNO(open("absent", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("", O_CREAT | O_RDWR, 0644), ENOENT);
    EXPECT_ERRNO(open("absent/x", O_CREAT | O_RDWR, 0644), ENOENT);
    EXPECT_ERRNO(open("file/x", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("file/", O_RDONLY), ENOTDIR);
    EXPECT_ERRNO(open("new/", O_CREAT | O_RDWR, 0644), EISDIR);
    EXPECT_ERRNO(open("file", O_RDONLY | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(open("directory", O_WRONLY), EISDIR);
    EXPECT_ERRNO(open("directory", O_RDWR), EISDIR);
    EXPECT_ERRNO(open("directory", O_RDONLY | O_CREAT, 0644), EISDIR);
    EXPECT_ERRNO(open("directory", O_RDONLY | O_TRUNC), EISDIR);
    EXPECT_ERRNO(open(".", O_CREAT | O_RDONLY, 0644), EISDIR);
    EXPECT_ERRNO(open("file", O_CREAT | O_EXCL | O_RDWR, 0644), EEXIST);
    EXPECT_ERRNO(open("directory", O_CREAT | O_EXCL | O_RDONLY, 0644), EEXIST);
    EXPECT_ERRNO(open(std::string(256, 'n').c_str(), O_RDONLY), ENAMETOOLONG);
    EXPECT_ERRNO(open(std::string(4096, '/').c_str(), O_RDONLY), ENAMETOOLONG);
    int fd = open(std::string(4095, '/').c_str(), O_RDONLY);
    EXPECT_GE(fd, 0);
    close(fd);
    EXPECT_ERRNO(open(bad_pointer(), O_RDONLY), EFAULT);
    EXPECT_ERRNO(open(kernel_pointer(), O_RDONLY), EFAULT);
    EXPECT_ERRNO(open(opaque<const char*>(nullptr), O_RDONLY), EFAULT);
}

TEST_F(OpenTest, FollowsSymbolicLinksOrNot) {
    write_file("file", "text");
    ASSERT_OK(symlink("file", "link"));
    ASSERT_OK(symlink("made", "dangling"));
    ASSERT_OK(symlink("loop", "loop"));
    EXPECT_EQ(read_file("link"), "text");
    EXPECT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW), ELOOP);
    EXPECT_ERRNO(open("link", O_RDONLY | O_NOFOLLOW | O_DIRECTORY), ENOTDIR);
    EXPECT_ERRNO(open("link", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    EXPECT_ERRNO(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
    EXPECT_ERRNO(open("dangling", O_RDONLY), ENOENT);
    EXPECT_ERRNO(open("loop", O_RDONLY), ELOOP);
    EXPECT_ERRNO(open("loop", O_RDONLY | O_CREAT, 0644), ELOOP);
    int fd = open("dangling", O_RDWR | O_CREAT, 0644);  // makes what the link names
    ASSERT_GE(fd, 0);
    close(fd);
    EXPECT_OK(access("made", F_OK));
}

TEST_F(OpenTest, TruncatesAndAppends) {
    write_file("file", "long text");
    int fd = open("file", O_WRONLY | O_TRUNC);
    EXPECT_EQ(lseek(fd, 0, SEEK_END), 0);
    close(fd);
    write_file("file", "one");
    fd = open("file", O_WRONLY | O_APPEND);
    ASSERT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_EQ(write(fd, "two", 3), 3);
    EXPECT_EQ(lseek(fd, 0, SEEK_CUR), 6);
    EXPECT_EQ(pwrite(fd, "three", 5, 0), 5);  // appends too: man 2 pwrite, BUGS
    close(fd);
    EXPECT_EQ(read_file("file"), "onetwothree");
    fd = creat("file", 0600);
    ASSERT_GE(fd, 0);
    char byte;
    EXPECT_ERRNO(read(fd, &byte, 1), EBADF);
    close(fd);
    EXPECT_EQ(read_file("file"), "");
}

TEST_F(OpenTest, PathDescriptorsNameAPlaceOnly) {
    write_file("file", "text");
    ASSERT_OK(symlink("file", "link"));
    int fd = open("link", O_PATH | O_NOFOLLOW);
    ASSERT_GE(fd, 0);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_TRUE(S_ISLNK(st.st_mode));
    char text[16];
    EXPECT_EQ(readlinkat(fd, "", text, sizeof(text)), 4);
    close(fd);
    fd = open("file", O_PATH | O_RDWR | O_TRUNC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(fcntl(fd, F_GETFL), O_PATH);
    EXPECT_ERRNO(read(fd, text, 1), EBADF);
    EXPECT_ERRNO(write(fd, text, 1), EBADF);
    EXPECT_ERRNO(lseek(fd, 0, SEEK_SET), EBADF);
    EXPECT_ERRNO(fchmod(fd, 0600), EBADF);
    EXPECT_ERRNO(ftruncate(fd, 0), EBADF);
    EXPECT_OK(fstatat(fd, "", &st, AT_EMPTY_PATH));
    EXPECT_EQ(st.st_size, 4);
    close(fd);
}

TEST_F(OpenTest, StartsAtADirectoryDescriptor) {
    ASSERT_OK(mkdir("directory", 0755));
    write_file("directory/file", "text");
    int directory = open("directory", O_RDONLY | O_DIRECTORY);
    int fd = openat(directory, "file", O_RDONLY);
    EXPECT_GE(fd, 0);
    EXPECT_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    close(fd);
    EXPECT_ERRNO(openat(999, "file", O_RDONLY), EBADF);
    fd = openat(999, "/", O_RDONLY);  // an absolute path needs no directory
    EXPECT_GE(fd, 0);
    close(fd);
    EXPECT_ERRNO(openat(directory, "", O_RDONLY), ENOENT);
    close(directory);
}

TEST_F(OpenTest, TemporaryFilesHaveNoName) {
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);
    ASSERT_GE(fd, 0) << strerror(errno);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_nlink, 0u);
    ASSERT_EQ(write(fd, "text", 4), 4);
    std::string name = "/proc/self/fd/" + std::to_string(fd);
    ASSERT_OK(linkat(AT_FDCWD, name.c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    EXPECT_EQ(read_file("named"), "text");
    close(fd);
    EXPECT_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    EXPECT_ERRNO(open("named", O_TMPFILE | O_RDWR, 0600), ENOTDIR);
    fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    name = "/proc/self/fd/" + std::to_string(fd);
    EXPECT_ERRNO(linkat(AT_FDCWD, name.c_str(), AT_FDCWD, "other", AT_SYMLINK_FOLLOW), ENOENT);
    close(fd);
}

int openat2(int directory, const char* path, open_how how, size_t size = sizeof(open_how)) {
    return static_cast<int>(syscall(SYS_openat2, directory, path, &how, size));
}

TEST_F(OpenTest, ResolvesAsAsked) {
    ASSERT_OK(mkdir("root", 0755));
    write_file("root/file", "inside");
    write_file("outside", "outside");
    ASSERT_OK(symlink("/file", "root/absolute"));
    ASSERT_OK(symlink("../outside", "root/up"));
    int root = open("root", O_PATH | O_DIRECTORY);
    auto how = [](uint64_t resolve) { return open_how{O_RDONLY, 0, resolve}; };
    int fd = openat2(root, "file", how(RESOLVE_BENEATH));
    EXPECT_GE(fd, 0);
    close(fd);
    EXPECT_ERRNO(openat2(root, "up", how(RESOLVE_BENEATH)), EXDEV);
    EXPECT_ERRNO(openat2(root, "..", how(RESOLVE_BENEATH)), EXDEV);
    EXPECT_ERRNO(openat2(root, "/file", how(RESOLVE_BENEATH)), EXDEV);
    fd = openat2(root, "absolute", how(RESOLVE_IN_ROOT));
    EXPECT_GE(fd, 0);
    close(fd);
    EXPECT_ERRNO(openat2(root, "up", how(RESOLVE_IN_ROOT)), ENOENT);
    EXPECT_ERRNO(openat2(root, "absolute", how(RESOLVE_NO_SYMLINKS)), ELOOP);
    EXPECT_ERRNO(openat2(AT_FDCWD, "/proc/self/fd/0", how(RESOLVE_NO_MAGICLINKS)), ELOOP);
    EXPECT_ERRNO(openat2(AT_FDCWD, "/proc/self", how(RESOLVE_NO_XDEV)), EXDEV);
    EXPECT_ERRNO(openat2(root, "file", how(0x1000)), EINVAL);
    EXPECT_ERRNO(openat2(root, "file", how(RESOLVE_BENEATH | RESOLVE_IN_ROOT)), EINVAL);
    EXPECT_ERRNO(openat2(root, "file", open_how{O_RDONLY, 0644, 0}), EINVAL);
    EXPECT_ERRNO(openat2(root, "file", open_how{uint64_t{1} << 40, 0, 0}), EINVAL);
    EXPECT_ERRNO(openat2(root, "file", how(0), 8), EINVAL);
    EXPECT_ERRNO(syscall(SYS_openat2, root, "file", bad_pointer(), sizeof(open_how)), EFAULT);
    close(root);
}

TEST_F(OpenTest, DescriptorsAreTheLowestFree) {
    int first = open("/", O_RDONLY), second = open("/", O_RDONLY), third = open("/", O_RDONLY);
    close(second);
    close(first);
    EXPECT_EQ(open("/", O_RDONLY), first);
    EXPECT_EQ(open("/", O_RDONLY), second);
    for (int fd : {first, second, third}) EXPECT_OK(close(fd));
    EXPECT_ERRNO(close(third), EBADF);
    EXPECT_ERRNO(close(-1), EBADF);
    EXPECT_ERRNO(close(1 << 30), EBADF);
}

TEST_F(OpenTest, ClosesRanges) {
    int base = dup(0);
    for (int i = 0; i < 5; i++) ASSERT_EQ(dup(0), base + 1 + i);
    EXPECT_OK(syscall(SYS_close_range, base + 1, base + 3, 0));
    EXPECT_ERRNO(fcntl(base + 2, F_GETFD), EBADF);
    EXPECT_EQ(fcntl(base + 4, F_GETFD), 0);
    EXPECT_OK(syscall(SYS_close_range, base + 4, ~0u, CLOSE_RANGE_CLOEXEC));
    EXPECT_EQ(fcntl(base + 4, F_GETFD), FD_CLOEXEC);
    EXPECT_OK(syscall(SYS_close_range, base, ~0u, 0));
    EXPECT_ERRNO(fcntl(base, F_GETFD), EBADF);
    EXPECT_ERRNO(syscall(SYS_close_range, 5, 4, 0), EINVAL);
    EXPECT_ERRNO(syscall(SYS_close_range, 4, 5, 64), EINVAL);
}

TEST_F(OpenTest, RunsOutOfDescriptors) {
    int fd = 0, last = -1;
    while ((fd = dup(0)) >= 0) last = fd;
    EXPECT_EQ(errno, EMFILE);
    EXPECT_ERRNO(open("/", O_RDONLY), EMFILE);
    int ends[2];
    EXPECT_ERRNO(pipe(ends), EMFILE);
    EXPECT_OK(syscall(SYS_close_range, 3, last, 0));
}

}  // namespace
