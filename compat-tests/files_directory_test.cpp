// getdents, getcwd, chdir, and reading directories while they change.
#include <dirent.h>

#include <set>
#include <vector>

#include "files_support.h"

namespace {

using DirectoryTest = FilesTest;

std::multiset<std::string> names_in(const char* directory) {
    std::multiset<std::string> names;
    DIR* stream = opendir(directory);
    while (dirent* entry = readdir(stream)) names.insert(entry->d_name);
    closedir(stream);
    return names;
}

TEST_F(DirectoryTest, ListsAllOnce) {
    std::multiset<std::string> expected = {".", ".."};
    for (int i = 0; i < 500; i++) {
        std::string name = "a name of some length " + std::to_string(i);
        write_file(name.c_str(), "");
        expected.insert(name);
    }
    EXPECT_EQ(names_in("."), expected);
}

TEST_F(DirectoryTest, TellsTypesAndInodes) {
    write_file("file", "");
    ASSERT_OK(mkdir("directory", 0755));
    ASSERT_OK(symlink("x", "link"));
    ASSERT_OK(mkfifo("fifo", 0600));
    DIR* stream = opendir(".");
    while (dirent* entry = readdir(stream)) {
        std::string name = entry->d_name;
        struct stat st;
        ASSERT_OK(lstat(entry->d_name, &st));
        EXPECT_EQ(entry->d_ino, st.st_ino) << name;
        EXPECT_EQ(DTTOIF(entry->d_type), st.st_mode & S_IFMT) << name;
    }
    closedir(stream);
}

TEST_F(DirectoryTest, RemovingWhileListing) {
    for (int i = 0; i < 1000; i++) write_file(std::to_string(i).c_str(), "");
    DIR* stream = opendir(".");
    int removed = 0;
    while (dirent* entry = readdir(stream)) {
        if (entry->d_name[0] == '.') continue;
        EXPECT_OK(unlink(entry->d_name));
        removed++;
    }
    EXPECT_EQ(removed, 1000);
    rewinddir(stream);
    int left = 0;
    while (readdir(stream)) left++;
    EXPECT_EQ(left, 2);
    closedir(stream);
}

TEST_F(DirectoryTest, PositionsCanBeTakenUp) {
    for (int i = 0; i < 50; i++) write_file(std::to_string(i).c_str(), "");
    DIR* stream = opendir(".");
    std::vector<std::pair<long, std::string>> entries;
    for (;;) {
        long position = telldir(stream);
        dirent* entry = readdir(stream);
        if (!entry) break;
        entries.push_back({position, entry->d_name});
    }
    EXPECT_EQ(entries.size(), 52u);
    for (size_t i = 0; i < entries.size(); i += 7) {
        seekdir(stream, entries[i].first);
        EXPECT_EQ(readdir(stream)->d_name, entries[i].second);
    }
    closedir(stream);
}

TEST_F(DirectoryTest, GetdentsErrors) {
    write_file("file", "");
    char buffer[512];
    auto getdents = [&](int fd, void* to, unsigned size) {
        return syscall(SYS_getdents64, fd, to, size);
    };
    int fd = open(".", O_RDONLY);
    EXPECT_ERRNO(getdents(fd, buffer, 10), EINVAL);
    EXPECT_ERRNO(getdents(fd, bad_pointer(), 512), EFAULT);
    EXPECT_ERRNO(getdents(99, buffer, 512), EBADF);
    EXPECT_GT(getdents(fd, buffer, 512), 0);
    EXPECT_EQ(getdents(fd, buffer, 512), 0);
    EXPECT_EQ(lseek(fd, 0, SEEK_SET), 0);
    EXPECT_GT(syscall(SYS_getdents, fd, buffer, 512), 0);
    close(fd);
    fd = open("file", O_RDONLY);
    EXPECT_ERRNO(getdents(fd, buffer, 512), ENOTDIR);
    close(fd);
    ASSERT_OK(mkdir("gone", 0755));
    fd = open("gone", O_RDONLY);
    ASSERT_OK(rmdir("gone"));
    EXPECT_ERRNO(getdents(fd, buffer, 512), ENOENT);
    close(fd);
}

TEST_F(DirectoryTest, WorkingDirectories) {
    ASSERT_OK(mkdir("d", 0755));
    write_file("file", "");
    char path[PATH_MAX];
    ASSERT_NE(getcwd(path, sizeof(path)), nullptr);
    EXPECT_EQ(path, directory_);
    ASSERT_OK(chdir("d"));
    EXPECT_EQ(std::string(getcwd(path, sizeof(path))), directory_ + "/d");
    EXPECT_EQ(syscall(SYS_getcwd, path, sizeof(path)),
              static_cast<long>(directory_.size() + 3));  // with its NUL
    EXPECT_ERRNO(syscall(SYS_getcwd, path, 3), ERANGE);
    EXPECT_ERRNO(syscall(SYS_getcwd, bad_pointer(), 4096), EFAULT);
    int up = open("..", O_RDONLY);
    ASSERT_OK(fchdir(up));
    close(up);
    EXPECT_ERRNO(chdir("file"), ENOTDIR);
    EXPECT_ERRNO(chdir("absent"), ENOENT);
    EXPECT_ERRNO(fchdir(99), EBADF);
    int fd = open("file", O_RDONLY);
    EXPECT_ERRNO(fchdir(fd), ENOTDIR);
    close(fd);
    ASSERT_OK(symlink("d", "link"));
    ASSERT_OK(chdir("link"));
    EXPECT_EQ(std::string(getcwd(path, sizeof(path))), directory_ + "/d");
}

}  // namespace
