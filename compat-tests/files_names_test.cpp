// mkdir, mknod, link, symlink, unlink, rmdir, rename.
#include <linux/fs.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "files_support.h"

namespace {

using NamesTest = FilesTest;

ino_t inode_of(const char* name) {
    struct stat st;
    return lstat(name, &st) == 0 ? st.st_ino : 0;
}
nlink_t links_of(const char* name) {
    struct stat st;
    return lstat(name, &st) == 0 ? st.st_nlink : 0;
}

TEST_F(NamesTest, DirectoriesComeAndGo) {
    ASSERT_OK(mkdir("d", 0750));
    ASSERT_OK(mkdir("d/sub/", 0755));  // a slash is fine for a directory
    struct stat st;
    ASSERT_OK(stat("d", &st));
    EXPECT_EQ(st.st_mode, S_IFDIR | 0750u);
    EXPECT_ERRNO(mkdir("d", 0755), EEXIST);
    EXPECT_ERRNO(mkdir(".", 0755), EEXIST);
    EXPECT_ERRNO(mkdir("/", 0755), EEXIST);
    EXPECT_ERRNO(mkdir("absent/x", 0755), ENOENT);
    EXPECT_ERRNO(mkdir("", 0755), ENOENT);
    EXPECT_ERRNO(rmdir("d"), ENOTEMPTY);
    EXPECT_ERRNO(rmdir("d/sub/."), EINVAL);
    EXPECT_ERRNO(rmdir("d/sub/.."), ENOTEMPTY);
    EXPECT_ERRNO(rmdir("/"), EBUSY);
    EXPECT_ERRNO(rmdir("absent"), ENOENT);
    write_file("f", "");
    EXPECT_ERRNO(rmdir("f"), ENOTDIR);
    EXPECT_ERRNO(unlink("d"), EISDIR);
    EXPECT_OK(rmdir("d/sub/"));
    EXPECT_OK(rmdir("d"));
    EXPECT_ERRNO(mkdir(bad_pointer(), 0755), EFAULT);
}

TEST_F(NamesTest, UnlinkedFilesLiveOn) {
    write_file("file", "text");
    int fd = open("file", O_RDWR);
    ASSERT_OK(unlink("file"));
    EXPECT_ERRNO(unlink("file"), ENOENT);
    char text[8] = {};
    EXPECT_EQ(read(fd, text, 8), 4);
    struct stat st;
    ASSERT_OK(fstat(fd, &st));
    EXPECT_EQ(st.st_nlink, 0u);
    close(fd);
    write_file("file", "x");
    EXPECT_ERRNO(unlink("file/"), ENOTDIR);
    EXPECT_ERRNO(unlinkat(AT_FDCWD, "file", 0x1000), EINVAL);
    EXPECT_ERRNO(unlinkat(AT_FDCWD, "file", AT_REMOVEDIR), ENOTDIR);
    EXPECT_ERRNO(unlink(""), ENOENT);
    EXPECT_ERRNO(unlink("."), EISDIR);
}

TEST_F(NamesTest, HardLinksAreTheSameFile) {
    write_file("one", "text");
    ASSERT_OK(link("one", "two"));
    EXPECT_EQ(inode_of("one"), inode_of("two"));
    EXPECT_EQ(links_of("one"), 2u);
    EXPECT_ERRNO(link("one", "two"), EEXIST);
    EXPECT_ERRNO(link("absent", "x"), ENOENT);
    EXPECT_ERRNO(link("one", "x/"), ENOENT);
    ASSERT_OK(mkdir("d", 0755));
    EXPECT_ERRNO(link("d", "e"), EPERM);
    EXPECT_ERRNO(link("one", "/dev/shm/files-link"), EXDEV);
    ASSERT_OK(symlink("one", "s"));
    ASSERT_OK(link("s", "s2"));  // the link itself
    EXPECT_EQ(inode_of("s"), inode_of("s2"));
    ASSERT_OK(linkat(AT_FDCWD, "s", AT_FDCWD, "three", AT_SYMLINK_FOLLOW));
    EXPECT_EQ(links_of("one"), 3u);
    EXPECT_ERRNO(linkat(AT_FDCWD, "one", AT_FDCWD, "x", 0x8000), EINVAL);
}

TEST_F(NamesTest, SymbolicLinksHoldText) {
    ASSERT_OK(symlink("anything at all", "s"));
    char text[64];
    EXPECT_EQ(readlink("s", text, sizeof(text)), 15);
    EXPECT_EQ(readlink("s", text, 3), 3);
    EXPECT_EQ(std::string(text, 3), "any");
    EXPECT_ERRNO(readlink("s", text, 0), EINVAL);
    EXPECT_ERRNO(readlink(".", text, 8), EINVAL);
    EXPECT_ERRNO(readlink("absent", text, 8), ENOENT);
    EXPECT_ERRNO(readlink("s", bad_pointer(), 8), EFAULT);
    EXPECT_ERRNO(symlink("x", "s"), EEXIST);
    EXPECT_ERRNO(symlink("", "t"), ENOENT);
    EXPECT_ERRNO(symlink(std::string(4096, 'x').c_str(), "t"), ENAMETOOLONG);
    ASSERT_OK(symlink(std::string(4000, 'x').c_str(), "t"));
    struct stat st;
    ASSERT_OK(lstat("t", &st));
    EXPECT_EQ(st.st_size, 4000);
    EXPECT_EQ(st.st_mode, S_IFLNK | 0777u);
}

TEST_F(NamesTest, NodesOfAllKinds) {
    ASSERT_OK(mknod("fifo", S_IFIFO | 0640, 0));
    ASSERT_OK(mknod("socket", S_IFSOCK | 0600, 0));
    ASSERT_OK(mknod("regular", 0600, 0));
    struct stat st;
    ASSERT_OK(stat("fifo", &st));
    EXPECT_EQ(st.st_mode, S_IFIFO | 0640u);
    ASSERT_OK(stat("regular", &st));
    EXPECT_EQ(st.st_mode, S_IFREG | 0600u);
    EXPECT_ERRNO(open("socket", O_RDONLY), ENXIO);
    EXPECT_ERRNO(mknod("d", S_IFDIR | 0700, 0), EPERM);
    EXPECT_ERRNO(mknod("x", 0170000 | 0700, 0), EINVAL);
    EXPECT_ERRNO(mknod("fifo", S_IFIFO | 0640, 0), EEXIST);
    if (mknod("null", S_IFCHR | 0666, makedev(1, 3)) == 0) {
        ASSERT_OK(stat("null", &st));
        EXPECT_EQ(st.st_rdev, makedev(1, 3));
    }
}

TEST_F(NamesTest, RenameReplaces) {
    write_file("a", "A");
    write_file("b", "B");
    ASSERT_OK(rename("a", "b"));
    EXPECT_EQ(read_file("b"), "A");
    EXPECT_ERRNO(rename("a", "c"), ENOENT);
    ASSERT_OK(rename("b", "b"));
    ASSERT_OK(link("b", "b2"));
    ASSERT_OK(rename("b", "b2"));  // two names of one file: nothing happens
    EXPECT_OK(access("b", F_OK));
    ASSERT_OK(mkdir("d", 0755));
    ASSERT_OK(mkdir("e", 0755));
    EXPECT_ERRNO(rename("b", "d"), EISDIR);
    EXPECT_ERRNO(rename("d", "b"), ENOTDIR);
    EXPECT_ERRNO(rename("b", "c/"), ENOTDIR);
    EXPECT_ERRNO(rename("d", "d/inside"), EINVAL);
    EXPECT_ERRNO(rename(".", "x"), EBUSY);
    EXPECT_ERRNO(rename("d", ".."), EBUSY);
    write_file("e/file", "");
    EXPECT_ERRNO(rename("d", "e"), ENOTEMPTY);
    EXPECT_ERRNO(rename("e/file", "e/file/x"), ENOTDIR);
    ASSERT_OK(unlink("e/file"));
    ASSERT_OK(rename("d", "e/"));
    EXPECT_ERRNO(access("d", F_OK), ENOENT);
    EXPECT_ERRNO(rename("b", "/proc/b"), EXDEV);
    EXPECT_ERRNO(rename("b", bad_pointer()), EFAULT);
    ASSERT_OK(mkdir("p", 0755));
    ASSERT_OK(mkdir("p/q", 0755));
    EXPECT_ERRNO(rename("p/q", "p"), ENOTEMPTY);
    EXPECT_EQ(links_of("p"), 3u);
    ASSERT_OK(rename("p/q", "q"));
    EXPECT_EQ(links_of("p"), 2u);
}

TEST_F(NamesTest, RenameExchangesOrRefuses) {
    write_file("a", "A");
    write_file("b", "B");
    ASSERT_OK(mkdir("d", 0755));
    auto rename2 = [](const char* from, const char* to, unsigned flags) {
        return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
    };
    EXPECT_ERRNO(rename2("a", "b", RENAME_NOREPLACE), EEXIST);
    EXPECT_ERRNO(rename2("a", "absent", RENAME_EXCHANGE), ENOENT);
    EXPECT_ERRNO(rename2("a", "b", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    EXPECT_ERRNO(rename2("a", "b", 0x100), EINVAL);
    ASSERT_OK(rename2("a", "b", RENAME_EXCHANGE));
    EXPECT_EQ(read_file("a"), "B");
    EXPECT_EQ(read_file("b"), "A");
    ASSERT_OK(rename2("a", "d", RENAME_EXCHANGE));
    EXPECT_EQ(read_file("d"), "B");
    EXPECT_OK(access("a/.", F_OK));
    ASSERT_OK(rename2("b", "c", RENAME_NOREPLACE));
    EXPECT_EQ(read_file("c"), "A");
}

TEST_F(NamesTest, PathsFollowRenames) {
    ASSERT_OK(mkdir("old", 0755));
    ASSERT_OK(chdir("old"));
    ASSERT_OK(rename("../old", "../new"));
    char* cwd = getcwd(nullptr, 0);
    EXPECT_EQ(std::string(cwd), directory_ + "/new");
    free(cwd);
    ASSERT_OK(rmdir("../new"));
    EXPECT_EQ(getcwd(nullptr, 0), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_ERRNO(open("file", O_CREAT | O_RDWR, 0644), ENOENT);
    EXPECT_ERRNO(mkdir("d", 0755), ENOENT);
}

}  // namespace
