// fallocate, holes, limits, and the advice calls, on tmpfs.
#include <linux/falloc.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "files_support.h"

namespace {

class SpaceTest : public FilesTest {
  protected:
    SpaceTest() : FilesTest("/dev/shm") { fd_ = open("file", O_CREAT | O_RDWR, 0644); }
    ~SpaceTest() override { close(fd_); }
    struct stat stat_of() {
        struct stat st;
        EXPECT_OK(fstat(fd_, &st));
        return st;
    }
    int fd_;
};

TEST_F(SpaceTest, AllocatesAndPunches) {
    ASSERT_OK(fallocate(fd_, 0, 0, 20000));
    EXPECT_EQ(stat_of().st_size, 20000);
    EXPECT_EQ(stat_of().st_blocks, 40);
    ASSERT_OK(fallocate(fd_, FALLOC_FL_KEEP_SIZE, 20000, 20000));
    EXPECT_EQ(stat_of().st_size, 20000);
    EXPECT_EQ(stat_of().st_blocks, 80);
    std::string text(20000, 'x');
    ASSERT_EQ(pwrite(fd_, text.data(), text.size(), 0), 20000);
    ASSERT_OK(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 5000, 5000));
    std::string expected = text;
    for (int i = 5000; i < 10000; i++) expected[i] = 0;
    EXPECT_TRUE(read_file("file") == expected);
    EXPECT_EQ(stat_of().st_blocks, 80);  // no whole page lies in 5000..10000
    ASSERT_OK(fallocate(fd_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192));
    EXPECT_EQ(stat_of().st_blocks, 64);
    EXPECT_EQ(lseek(fd_, 0, SEEK_HOLE), 4096);
    EXPECT_EQ(lseek(fd_, 4096, SEEK_DATA), 12288);
    ASSERT_OK(ftruncate(fd_, 100));
    EXPECT_EQ(stat_of().st_blocks, 8);
}

TEST_F(SpaceTest, AllocationErrors) {
    EXPECT_ERRNO(fallocate(fd_, 0, -1, 10), EINVAL);
    EXPECT_ERRNO(fallocate(fd_, 0, 0, 0), EINVAL);
    EXPECT_ERRNO(fallocate(fd_, FALLOC_FL_PUNCH_HOLE, 0, 10), EOPNOTSUPP);
    EXPECT_ERRNO(fallocate(fd_, FALLOC_FL_COLLAPSE_RANGE, 0, 4096), EOPNOTSUPP);
    EXPECT_ERRNO(fallocate(fd_, FALLOC_FL_ZERO_RANGE, 0, 4096), EOPNOTSUPP);
    EXPECT_ERRNO(fallocate(fd_, 0x1000, 0, 4096), EOPNOTSUPP);
    EXPECT_ERRNO(fallocate(fd_, 0, LLONG_MAX, 10), EFBIG);
    EXPECT_ERRNO(fallocate(99, 0, 0, 10), EBADF);
    int reader = open("file", O_RDONLY);
    EXPECT_ERRNO(fallocate(reader, 0, 0, 10), EBADF);
    close(reader);
    int ends[2];
    ASSERT_OK(pipe(ends));
    EXPECT_ERRNO(fallocate(ends[1], 0, 0, 10), ESPIPE);
    EXPECT_EQ(posix_fadvise(ends[0], 0, 0, 0), ESPIPE);
    close(ends[0]);
    close(ends[1]);
    // More than there can be.
    EXPECT_ERRNO(fallocate(fd_, 0, 0, 1LL << 50), ENOSPC);
    EXPECT_EQ(stat_of().st_blocks, 0);
}

TEST_F(SpaceTest, FileSizesAreLimited) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit old;
    ASSERT_OK(getrlimit(RLIMIT_FSIZE, &old));
    rlimit limit = {1000, old.rlim_max};
    ASSERT_OK(setrlimit(RLIMIT_FSIZE, &limit));
    std::string text(1500, 'x');
    EXPECT_EQ(write(fd_, text.data(), text.size()), 1000);
    EXPECT_ERRNO(write(fd_, text.data(), 1), EFBIG);
    EXPECT_ERRNO(ftruncate(fd_, 1001), EFBIG);
    EXPECT_OK(ftruncate(fd_, 999));
    ASSERT_OK(setrlimit(RLIMIT_FSIZE, &old));
    signal(SIGXFSZ, SIG_DFL);
}

TEST_F(SpaceTest, LargeOffsets) {
    EXPECT_EQ(pwrite(fd_, "x", 1, 1LL << 40), 1);
    EXPECT_EQ(stat_of().st_size, (1LL << 40) + 1);
    EXPECT_EQ(stat_of().st_blocks, 8);
    EXPECT_ERRNO(pwrite(fd_, "x", 1, LLONG_MAX), EINVAL);
    EXPECT_ERRNO(pwrite(fd_, "x", 0, -1), EINVAL);
    EXPECT_EQ(lseek(fd_, LLONG_MAX, SEEK_SET), LLONG_MAX);
    EXPECT_ERRNO(read(fd_, opaque(directory_.data()), 1), EINVAL);
}

TEST_F(SpaceTest, MappingsAndFilesAreOne) {
    ASSERT_EQ(write(fd_, "before", 6), 6);
    char* shared = static_cast<char*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
    char* own = static_cast<char*>(
        mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd_, 0));
    memcpy(shared, "BE", 2);
    EXPECT_EQ(read_file("file"), "BEfore");
    EXPECT_EQ(memcmp(own, "BEfore", 6), 0);
    own[0] = 'x';
    EXPECT_EQ(read_file("file"), "BEfore");
    EXPECT_EQ(pwrite(fd_, "written", 7, 0), 7);
    EXPECT_EQ(memcmp(shared, "written", 7), 0);
    munmap(shared, 4096);
    munmap(own, 4096);
}

TEST_F(SpaceTest, SyncingSucceeds) {
    EXPECT_OK(fsync(fd_));
    EXPECT_OK(fdatasync(fd_));
    EXPECT_OK(syncfs(fd_));
    sync();
    EXPECT_OK(sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE));
    EXPECT_ERRNO(sync_file_range(fd_, -1, 0, 0), EINVAL);
    EXPECT_ERRNO(sync_file_range(fd_, 0, 0, 64), EINVAL);
    EXPECT_ERRNO(fsync(99), EBADF);
    EXPECT_EQ(posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL), 0);
    EXPECT_EQ(posix_fadvise(fd_, 0, 0, 99), EINVAL);
    EXPECT_EQ(posix_fadvise(99, 0, 0, 0), EBADF);
}

}  // namespace
