// read, write and their relatives; lseek; the memory devices; hostile pointers.
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#include "files_support.h"

namespace {

class ReadWriteTest : public FilesTest {
  protected:
    ReadWriteTest() { fd_ = open("file", O_CREAT | O_RDWR, 0644); }
    ~ReadWriteTest() override { close(fd_); }
    int fd_;
    char buffer_[64] = {};
};

TEST_F(ReadWriteTest, PositionsAdvance) {
    EXPECT_EQ(write(fd_, "hello world", 11), 11);
    EXPECT_EQ(read(fd_, buffer_, 10), 0);
    EXPECT_EQ(lseek(fd_, 6, SEEK_SET), 6);
    EXPECT_EQ(read(fd_, buffer_, 64), 5);
    EXPECT_STREQ(buffer_, "world");
    EXPECT_EQ(pread(fd_, buffer_, 5, 0), 5);
    EXPECT_STREQ(buffer_, "hello");
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), 11);
    EXPECT_EQ(pwrite(fd_, "H", 1, 0), 1);
    EXPECT_EQ(lseek(fd_, -1, SEEK_END), 10);
    EXPECT_ERRNO(lseek(fd_, -1, SEEK_SET), EINVAL);
    EXPECT_ERRNO(lseek(fd_, 0, 9), EINVAL);
    EXPECT_ERRNO(lseek(fd_, LLONG_MAX, SEEK_END), EINVAL);
    EXPECT_ERRNO(pread(fd_, buffer_, 1, -1), EINVAL);
    EXPECT_EQ(pread(fd_, buffer_, 1, 1000), 0);
    EXPECT_EQ(read_file("file"), "Hello world");
}

TEST_F(ReadWriteTest, HolesReadAsZeros) {
    EXPECT_EQ(pwrite(fd_, "end", 3, 10000), 3);
    char text[10003];
    memset(text, 'x', sizeof(text));
    EXPECT_EQ(pread(fd_, text, sizeof(text), 0), 10003);
    for (int i = 0; i < 10000; i++) ASSERT_EQ(text[i], 0) << i;
    EXPECT_EQ(lseek(fd_, 0, SEEK_DATA), 8192);
    EXPECT_EQ(lseek(fd_, 0, SEEK_HOLE), 0);
    EXPECT_EQ(lseek(fd_, 8192, SEEK_HOLE), 10003);
    EXPECT_ERRNO(lseek(fd_, 10003, SEEK_DATA), ENXIO);
    EXPECT_ERRNO(lseek(fd_, -1, SEEK_DATA), ENXIO);
}

TEST_F(ReadWriteTest, VectorsGatherAndScatter) {
    iovec parts[] = {{const_cast<char*>("one "), 4}, {nullptr, 0}, {const_cast<char*>("two"), 3}};
    EXPECT_EQ(writev(fd_, parts, 3), 7);
    char a[3] = {}, b[10] = {};
    iovec room[] = {{a, 2}, {b, 10}};
    EXPECT_EQ(preadv(fd_, room, 2, 0), 7);
    EXPECT_STREQ(a, "on");
    EXPECT_STREQ(b, "e two");
    EXPECT_EQ(preadv2(fd_, room, 2, 4, 0), 3);
    EXPECT_EQ(lseek(fd_, 0, SEEK_SET), 0);
    EXPECT_EQ(preadv2(fd_, room, 1, -1, 0), 2);
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), 2);
    EXPECT_EQ(pwritev2(fd_, parts, 1, 0, RWF_APPEND), 4);
    EXPECT_EQ(read_file("file"), "one twoone ");
    EXPECT_ERRNO(preadv2(fd_, room, 1, 0, 0x4000), EOPNOTSUPP);
    EXPECT_ERRNO(preadv(fd_, room, 1, -1), EINVAL);
    EXPECT_ERRNO(readv(fd_, opaque(room + 0), opaque(-1)), EINVAL);
    EXPECT_ERRNO(readv(fd_, opaque(room + 0), opaque(1025)), EINVAL);
    EXPECT_EQ(readv(fd_, room, 0), 0);
    EXPECT_ERRNO(readv(fd_, reinterpret_cast<iovec*>(bad_pointer()), 1), EFAULT);
    iovec too_long[] = {{a, static_cast<size_t>(-1)}};
    EXPECT_ERRNO(readv(fd_, too_long, 1), EINVAL);
}

TEST_F(ReadWriteTest, BadPointersAreErrors) {
    ASSERT_EQ(write(fd_, "0123456789", 10), 10);
    EXPECT_ERRNO(pread(fd_, bad_pointer(), 5, 0), EFAULT);
    EXPECT_ERRNO(pread(fd_, kernel_pointer(), 5, 0), EFAULT);
    EXPECT_ERRNO(pwrite(fd_, bad_pointer(), 5, 0), EFAULT);
    EXPECT_ERRNO(pwrite(fd_, kernel_pointer(), 5, 0), EFAULT);
    EXPECT_EQ(pread(fd_, bad_pointer(), 0, 0), 0);
    EXPECT_ERRNO(read(-1, buffer_, 1), EBADF);
    // A buffer that ends in nothing: what fits is moved.
    char* pages = static_cast<char*>(mmap(nullptr, 8192, PROT_READ | PROT_WRITE,
                                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_OK(mprotect(pages + 4096, 4096, PROT_NONE));
    EXPECT_EQ(pread(fd_, pages + 4092, 10, 0), 4);
    EXPECT_EQ(memcmp(pages + 4092, "0123", 4), 0);
    memcpy(pages + 4092, "ABCD", 4);
    EXPECT_EQ(pwrite(fd_, pages + 4092, 10, 0), 4);
    EXPECT_EQ(read_file("file"), "ABCD456789");
    munmap(pages, 8192);
}

TEST_F(ReadWriteTest, AccessModesBind) {
    int reader = open("file", O_RDONLY), writer = open("file", O_WRONLY);
    EXPECT_ERRNO(write(reader, "x", 1), EBADF);
    EXPECT_ERRNO(read(writer, buffer_, 1), EBADF);
    EXPECT_ERRNO(pwrite(reader, "x", 1, 0), EBADF);
    EXPECT_ERRNO(ftruncate(reader, 0), EINVAL);
    close(reader);
    close(writer);
    int directory = open(".", O_RDONLY);
    EXPECT_ERRNO(read(directory, buffer_, 1), EISDIR);
    EXPECT_ERRNO(pread(directory, buffer_, 1, 0), EISDIR);
    EXPECT_ERRNO(write(directory, buffer_, 1), EBADF);
    close(directory);
}

TEST_F(ReadWriteTest, MemoryDevicesBehave) {
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    int full = open("/dev/full", O_RDWR), urandom = open("/dev/urandom", O_RDWR);
    EXPECT_EQ(write(null, "text", 4), 4);
    EXPECT_EQ(read(null, buffer_, 4), 0);
    EXPECT_ERRNO(write(null, kernel_pointer(), 4), EFAULT);
    EXPECT_EQ(lseek(null, 100, SEEK_SET), 0);
    memset(buffer_, 'x', 8);
    EXPECT_EQ(read(zero, buffer_, 4), 4);
    EXPECT_EQ(memcmp(buffer_, "\0\0\0\0xxxx", 8), 0);
    EXPECT_ERRNO(read(zero, bad_pointer(), 4), EFAULT);
    EXPECT_EQ(write(zero, "x", 1), 1);
    EXPECT_EQ(read(full, buffer_, 8), 8);
    EXPECT_ERRNO(write(full, "x", 1), ENOSPC);
    char other[64];
    EXPECT_EQ(read(urandom, buffer_, 64), 64);
    EXPECT_EQ(pread(urandom, other, 64, 0), 64);
    EXPECT_NE(memcmp(buffer_, other, 64), 0);
    struct stat st;
    ASSERT_OK(fstat(null, &st));
    EXPECT_TRUE(S_ISCHR(st.st_mode));
    EXPECT_EQ(st.st_rdev, 0x103u);
    EXPECT_ERRNO(ftruncate(null, 0), EINVAL);
    for (int fd : {null, zero, full, urandom}) close(fd);
}

TEST_F(ReadWriteTest, SendfileCopies) {
    ASSERT_EQ(write(fd_, "0123456789", 10), 10);
    int out = open("out", O_CREAT | O_RDWR, 0644);
    off_t offset = 2;
    EXPECT_EQ(sendfile(out, fd_, &offset, 5), 5);
    EXPECT_EQ(offset, 7);
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), 10);
    EXPECT_EQ(sendfile(out, fd_, nullptr, 5), 0);
    offset = 8;
    EXPECT_EQ(sendfile(out, fd_, &offset, 100), 2);
    EXPECT_EQ(read_file("out"), "2345689");
    offset = -1;
    EXPECT_ERRNO(sendfile(out, fd_, &offset, 1), EINVAL);
    EXPECT_ERRNO(sendfile(99, fd_, nullptr, 1), EBADF);
    EXPECT_ERRNO(sendfile(out, fd_, reinterpret_cast<off_t*>(bad_pointer()), 1), EFAULT);
    close(out);
}

TEST_F(ReadWriteTest, CopyFileRangeCopies) {
    ASSERT_EQ(write(fd_, "0123456789", 10), 10);
    int out = open("out", O_CREAT | O_RDWR, 0644);
    off_t from = 3, to = 1;
    EXPECT_EQ(copy_file_range(fd_, &from, out, &to, 4, 0), 4);
    EXPECT_EQ(from, 7);
    EXPECT_EQ(to, 5);
    EXPECT_EQ(read_file("out"), std::string("\0" "3456", 5));
    from = 20;
    EXPECT_EQ(copy_file_range(fd_, &from, out, nullptr, 4, 0), 0);
    from = 0;
    to = 2;
    EXPECT_ERRNO(copy_file_range(fd_, &from, fd_, &to, 4, 0), EINVAL);
    EXPECT_ERRNO(copy_file_range(fd_, &from, out, &to, 4, 1), EINVAL);
    int directory = open(".", O_RDONLY);
    EXPECT_ERRNO(copy_file_range(directory, nullptr, out, nullptr, 1, 0), EISDIR);
    close(directory);
    close(out);
}

}  // namespace
