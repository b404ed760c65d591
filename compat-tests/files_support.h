// What the files_* tests share.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

// The call fails with -1 and this errno.
#define EXPECT_ERRNO(call, expected)                                           \
    do {                                                                       \
        errno = 0;                                                             \
        EXPECT_EQ((call), -1) << #call;                                        \
        EXPECT_EQ(errno, expected) << #call << ": " << strerror(errno);        \
    } while (0)

#define EXPECT_OK(call) EXPECT_EQ((call), 0) << #call << ": " << strerror(errno)
#define ASSERT_OK(call) ASSERT_EQ((call), 0) << #call << ": " << strerror(errno)

// Hides a value from the compiler, which knows too well what these calls want.
template <typename T>
T opaque(T value) {
    asm("" : "+r"(value));
    return value;
}
// An address that no program has.
inline char* bad_pointer() { return opaque(reinterpret_cast<char*>(0x10)); }
// One in the half that belongs to the kernel.
inline char* kernel_pointer() { return opaque(reinterpret_cast<char*>(0xffff888000001000)); }

// Runs in an empty directory of its own.
class FilesTest : public testing::Test {
  protected:
    explicit FilesTest(const char* parent = "/tmp") {
        std::string name = std::string(parent) + "/files-XXXXXX";
        directory_ = mkdtemp(name.data());
        EXPECT_OK(chdir(directory_.c_str()));
    }
    ~FilesTest() override {
        EXPECT_OK(chdir("/"));
        std::filesystem::remove_all(directory_);
    }
    static void write_file(const char* name, const std::string& text, mode_t mode = 0644) {
        int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, mode);
        ASSERT_GE(fd, 0) << name << ": " << strerror(errno);
        ASSERT_EQ(write(fd, text.data(), text.size()), static_cast<ssize_t>(text.size()));
        close(fd);
    }
    static std::string read_file(const char* name) {
        int fd = open(name, O_RDONLY);
        if (fd < 0) return strerror(errno);
        std::string text;
        char buffer[4096];
        for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, got);
        close(fd);
        return text;
    }

    std::string directory_;
};
