// Mappings of files: shared and private pages, the end of the file, access modes.
#include <fcntl.h>

#include <string>

#include "memory_support.h"

namespace {

// An unlinked file with `size` bytes, byte i being i / kPage + 1.
class TemporaryFile {
  public:
    explicit TemporaryFile(size_t size) {
        char name[] = "/tmp/mapping-XXXXXX";
        fd_ = mkstemp(name);
        EXPECT_GE(fd_, 0) << strerror(errno);
        read_only_ = open(name, O_RDONLY);
        write_only_ = open(name, O_WRONLY);
        unlink(name);
        std::string bytes(size, 0);
        for (size_t i = 0; i < size; i++) bytes[i] = static_cast<char>(i / kPage + 1);
        EXPECT_EQ(write(fd_, bytes.data(), size), static_cast<ssize_t>(size));
    }
    ~TemporaryFile() {
        close(fd_);
        close(read_only_);
        close(write_only_);
    }
    int fd() const { return fd_; }
    int read_only() const { return read_only_; }
    int write_only() const { return write_only_; }
    char read_byte(off_t at) const {
        char byte = 0;
        EXPECT_EQ(pread(fd_, &byte, 1, at), 1);
        return byte;
    }
    void write_byte(off_t at, char byte) const { EXPECT_EQ(pwrite(fd_, &byte, 1, at), 1); }

  private:
    int fd_, read_only_, write_only_;
};

constexpr int kReadWrite = PROT_READ | PROT_WRITE;

TEST(FileMapping, SharesItsPagesWithReadAndWrite) {
    TemporaryFile file(3 * kPage);
    Mapping map(3 * kPage, kReadWrite, MAP_SHARED, file.fd());
    EXPECT_EQ(map[2 * kPage], 3);
    map[kPage + 7] = 99;
    EXPECT_EQ(file.read_byte(kPage + 7), 99);
    file.write_byte(10, 55);
    EXPECT_EQ(map[10], 55);
}

TEST(FileMapping, ReadOnlySharedMappingSeesLaterWrites) {
    TemporaryFile file(kPage);
    Mapping map(kPage, PROT_READ, MAP_SHARED, file.fd());
    EXPECT_EQ(map[0], 1);
    file.write_byte(0, 44);
    EXPECT_EQ(map[0], 44);
}

TEST(FileMapping, PrivateWritesStayPrivate) {
    TemporaryFile file(2 * kPage);
    Mapping map(2 * kPage, kReadWrite, MAP_PRIVATE, file.fd());
    EXPECT_EQ(map[0], 1);
    map[0] = 77;
    map[kPage] = 78;
    EXPECT_EQ(file.read_byte(0), 1);
    EXPECT_EQ(file.read_byte(kPage), 2);
    file.write_byte(1, 33);
    EXPECT_EQ(map[0], 77);
    ASSERT_EQ(madvise(map.data(), kPage, MADV_DONTNEED), 0);
    EXPECT_EQ(map[0], 1);
    EXPECT_EQ(map[1], 33);
}

TEST(FileMapping, Offset) {
    TemporaryFile file(5 * kPage);
    Mapping map(2 * kPage, PROT_READ, MAP_PRIVATE, file.fd(), 3 * kPage);
    EXPECT_EQ(map[0], 4);
    EXPECT_EQ(map[kPage], 5);
}

TEST(FileMapping, RestOfTheLastPageIsZeroAndBeyondIsSigbus) {
    TemporaryFile file(kPage + 100);
    Mapping map(4 * kPage, kReadWrite, MAP_SHARED, file.fd());
    EXPECT_EQ(map[kPage + 99], 2);
    EXPECT_EQ(map[kPage + 100], 0);
    EXPECT_EQ(map[2 * kPage - 1], 0);
    EXPECT_EQ(fault_of_read(map.page(2)), bus_adrerr(map.page(2)));
    EXPECT_EQ(fault_of_write(map.page(3) + 5), bus_adrerr(map.page(3) + 5));
}

TEST(FileMapping, GrowingFileFillsTheMapping) {
    TemporaryFile file(kPage);
    Mapping map(2 * kPage, PROT_READ, MAP_SHARED, file.fd());
    EXPECT_EQ(fault_of_read(map.page(1)), bus_adrerr(map.page(1)));
    ASSERT_EQ(ftruncate(file.fd(), 2 * kPage), 0);
    EXPECT_EQ(map[kPage], 0);
}

TEST(FileMapping, TruncationTakesPagesAway) {
    TemporaryFile file(3 * kPage);
    Mapping shared(3 * kPage, kReadWrite, MAP_SHARED, file.fd());
    Mapping copy(3 * kPage, kReadWrite, MAP_PRIVATE, file.fd());
    EXPECT_EQ(shared[2 * kPage] + copy[2 * kPage], 6);
    copy[kPage] = 9;
    ASSERT_EQ(ftruncate(file.fd(), kPage), 0);
    EXPECT_EQ(shared[0], 1);
    EXPECT_EQ(fault_of_read(shared.page(2)), bus_adrerr(shared.page(2)));
    EXPECT_EQ(fault_of_read(copy.page(1)), bus_adrerr(copy.page(1)));
    EXPECT_EQ(fault_of_read(copy.page(2)), bus_adrerr(copy.page(2)));
}

TEST(FileMapping, PunchedHolesReadAsZerosButForCopies) {
    TemporaryFile file(4 * kPage);
    Mapping shared(4 * kPage, kReadWrite, MAP_SHARED, file.fd());
    Mapping copy(4 * kPage, kReadWrite, MAP_PRIVATE, file.fd());
    EXPECT_EQ(shared[kPage] + copy[kPage], 4);
    copy[2 * kPage] = 9;
    ASSERT_EQ(fallocate(file.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, kPage, 2 * kPage),
              0);
    EXPECT_EQ(shared[0], 1);
    EXPECT_EQ(shared[kPage], 0);
    EXPECT_EQ(copy[kPage], 0);
    EXPECT_EQ(copy[2 * kPage], 9);
    EXPECT_EQ(shared[3 * kPage], 4);
}

TEST(FileMapping, AccessModes) {
    TemporaryFile file(kPage);
    EXPECT_ERRNO(EACCES, mmap(nullptr, kPage, kReadWrite, MAP_SHARED, file.read_only(), 0));
    EXPECT_ERRNO(EACCES, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file.write_only(), 0));
    EXPECT_ERRNO(EACCES, mmap(nullptr, kPage, PROT_WRITE, MAP_SHARED, file.write_only(), 0));
    Mapping shared(kPage, PROT_READ, MAP_SHARED, file.read_only());
    EXPECT_ERRNO(EACCES, mprotect(shared.data(), kPage, kReadWrite));
    Mapping copy(kPage, PROT_READ, MAP_PRIVATE, file.read_only());
    EXPECT_EQ(mprotect(copy.data(), kPage, kReadWrite), 0);
    copy[0] = 5;
    EXPECT_EQ(file.read_byte(0), 1);
}

TEST(FileMapping, OutlivesItsDescriptor) {
    int fd;
    {
        TemporaryFile file(kPage);
        fd = dup(file.fd());
    }
    Mapping map(kPage, PROT_READ, MAP_SHARED, fd);
    close(fd);
    EXPECT_EQ(map[0], 1);
}

TEST(FileMapping, RefusesBadArguments) {
    TemporaryFile file(kPage);
    EXPECT_ERRNO(EINVAL, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, file.fd(), 5));
    EXPECT_ERRNO(EINVAL,
                 mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, file.fd(), 0));
    EXPECT_ERRNO(EINVAL, mmap(nullptr, kPage, PROT_READ, 0, file.fd(), 0));
    EXPECT_ERRNO(EOPNOTSUPP,
                 mmap(nullptr, kPage, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, file.fd(), 0));
    EXPECT_ERRNO(EOVERFLOW, mmap(nullptr, 2 * kPage, PROT_READ, MAP_PRIVATE, file.fd(), -kPage));
    int pipes[2];
    ASSERT_EQ(pipe(pipes), 0);
    EXPECT_ERRNO(ENODEV, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, pipes[0], 0));
    close(pipes[0]);
    close(pipes[1]);
    int directory = open("/tmp", O_RDONLY);
    EXPECT_ERRNO(ENODEV, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, directory, 0));
    close(directory);
    int path = open("/tmp", O_PATH);
    EXPECT_ERRNO(EBADF, mmap(nullptr, kPage, PROT_READ, MAP_PRIVATE, path, 0));
    close(path);
}

TEST(FileMapping, DevZero) {
    int fd = open("/dev/zero", O_RDWR);
    ASSERT_GE(fd, 0);
    Mapping copy(2 * kPage, kReadWrite, MAP_PRIVATE, fd);
    EXPECT_EQ(copy[kPage], 0);
    copy[kPage] = 1;
    Mapping shared(2 * kPage, kReadWrite, MAP_SHARED, fd);
    EXPECT_EQ(shared[kPage], 0);
    shared[kPage] = 2;
    EXPECT_EQ(shared[kPage], 2);
    close(fd);
}

TEST(FileMapping, ReadIntoAMappingOfTheSameFile) {
    TemporaryFile file(2 * kPage);
    Mapping map(2 * kPage, kReadWrite, MAP_SHARED, file.fd());
    ASSERT_EQ(pread(file.fd(), map.page(1), kPage, 0), static_cast<ssize_t>(kPage));
    EXPECT_EQ(map[kPage], 1);
}

}  // namespace
