// System V shared memory (shmget, shmat, shmdt, shmctl), and POSIX's shm_open.
#include <sys/mman.h>
#include <sys/shm.h>

#include <fstream>

#include "files_support.h"

namespace {

class SharedMemoryTest : public testing::Test {
  protected:
    SharedMemoryTest() : id_(shmget(IPC_PRIVATE, 10000, 0600)) { EXPECT_GE(id_, 0); }
    ~SharedMemoryTest() override { shmctl(id_, IPC_RMID, nullptr); }
    char* attach(const void* address = nullptr, int flags = 0) {
        void* at = shmat(id_, address, flags);
        return at == reinterpret_cast<void*>(-1) ? nullptr : static_cast<char*>(at);
    }
    shmid_ds status() {
        shmid_ds result = {};
        EXPECT_OK(shmctl(id_, IPC_STAT, &result));
        return result;
    }
    int id_;
};

TEST_F(SharedMemoryTest, AttachmentsShareThePages) {
    char* one = attach();
    char* two = attach();
    ASSERT_TRUE(one && two);
    EXPECT_NE(one, two);
    EXPECT_EQ(one[9999], 0);
    EXPECT_EQ(one[12287], 0);  // the last page is whole
    strcpy(one + 5000, "shared");
    EXPECT_STREQ(two + 5000, "shared");
    EXPECT_EQ(status().shm_nattch, 2u);
    EXPECT_OK(shmdt(one));
    EXPECT_EQ(status().shm_nattch, 1u);
    EXPECT_ERRNO(shmdt(one), EINVAL);
    char* again = attach();
    EXPECT_STREQ(again + 5000, "shared");
    EXPECT_OK(shmdt(two));
    EXPECT_OK(shmdt(again));
    EXPECT_EQ(status().shm_nattch, 0u);
    char* later = attach();
    EXPECT_STREQ(later + 5000, "shared");  // it outlives its attachments
    EXPECT_OK(shmdt(later));
}

TEST_F(SharedMemoryTest, ReadOnlyAttachments) {
    char* writable = attach();
    writable[0] = 'x';
    char* read_only = attach(nullptr, SHM_RDONLY);
    EXPECT_EQ(read_only[0], 'x');
    EXPECT_ERRNO(mprotect(read_only, 4096, PROT_READ | PROT_WRITE), EACCES);
    int fd = open("/dev/zero", O_RDONLY);
    EXPECT_ERRNO(read(fd, read_only, 1), EFAULT);
    close(fd);
    EXPECT_OK(shmdt(writable));
    EXPECT_OK(shmdt(read_only));
}

TEST_F(SharedMemoryTest, AddressesCanBeAskedFor) {
    void* place = mmap(nullptr, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char* wanted = static_cast<char*>(place);
    EXPECT_EQ(attach(wanted), nullptr);
    EXPECT_EQ(errno, EINVAL);  // something is mapped there
    EXPECT_EQ(attach(wanted + 4096, SHM_REMAP), wanted + 4096);
    EXPECT_OK(shmdt(wanted + 4096));
    EXPECT_OK(munmap(place, 65536));
    EXPECT_EQ(attach(wanted + 100), nullptr);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(attach(wanted + 100, SHM_RND), wanted);
    EXPECT_OK(shmdt(wanted));
    EXPECT_EQ(attach(nullptr, SHM_REMAP), nullptr);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(SharedMemoryTest, PartsMayGoBeforeTheRest) {
    char* at = attach();
    EXPECT_OK(munmap(at + 4096, 4096));
    EXPECT_EQ(shmdt(at), 0);
    EXPECT_ERRNO(msync(at + 8192, 4096, MS_ASYNC), ENOMEM);  // the part behind the hole went too
    EXPECT_EQ(status().shm_nattch, 0u);
}

TEST_F(SharedMemoryTest, RemovedSegmentsStayWhileAttached) {
    const key_t key = 0x54e30000 | (getpid() & 0xffff);
    const int id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    ASSERT_GE(id, 0);
    char* at = static_cast<char*>(shmat(id, nullptr, 0));
    EXPECT_OK(shmctl(id, IPC_RMID, nullptr));
    EXPECT_ERRNO(shmget(key, 4096, 0600), ENOENT);
    at[0] = 'x';
    shmid_ds now = {};
    EXPECT_OK(shmctl(id, IPC_STAT, &now));
    EXPECT_EQ(now.shm_perm.mode & 01000, 01000);  // SHM_DEST
    char* second = static_cast<char*>(shmat(id, nullptr, 0));
    EXPECT_EQ(second[0], 'x');
    EXPECT_OK(shmdt(at));
    EXPECT_OK(shmdt(second));
    EXPECT_ERRNO(shmctl(id, IPC_STAT, &now), EINVAL);
    EXPECT_EQ(reinterpret_cast<long>(shmat(id, nullptr, 0)), -1);
    EXPECT_EQ(errno, EINVAL);
}

TEST_F(SharedMemoryTest, KeysAndSizes) {
    const key_t key = 0x54e40000 | (getpid() & 0xffff);
    EXPECT_ERRNO(shmget(key, 100, 0600), ENOENT);
    EXPECT_ERRNO(shmget(key, 0, IPC_CREAT | 0600), EINVAL);
    const int id = shmget(key, 100, IPC_CREAT | 0600);
    ASSERT_GE(id, 0);
    EXPECT_EQ(shmget(key, 100, 0600), id);
    EXPECT_EQ(shmget(key, 0, 0600), id);
    EXPECT_ERRNO(shmget(key, 101, 0600), EINVAL);
    EXPECT_ERRNO(shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    EXPECT_OK(shmctl(id, IPC_RMID, nullptr));
    EXPECT_EQ(reinterpret_cast<long>(shmat(-1, nullptr, 0)), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_ERRNO(shmdt(bad_pointer()), EINVAL);
    EXPECT_ERRNO(shmctl(id_, 999, nullptr), EINVAL);
    EXPECT_ERRNO(shmctl(id_, IPC_STAT, reinterpret_cast<shmid_ds*>(bad_pointer())), EFAULT);
}

TEST_F(SharedMemoryTest, StatusIsKept) {
    shmid_ds now = status();
    EXPECT_EQ(now.shm_segsz, 10000u);
    EXPECT_EQ(now.shm_cpid, getpid());
    EXPECT_EQ(now.shm_lpid, 0);
    EXPECT_EQ(now.shm_atime, 0);
    EXPECT_NEAR(now.shm_ctime, time(nullptr), 2);
    char* at = attach();
    now = status();
    EXPECT_EQ(now.shm_lpid, getpid());
    EXPECT_NEAR(now.shm_atime, time(nullptr), 2);
    EXPECT_EQ(now.shm_dtime, 0);
    EXPECT_OK(shmdt(at));
    EXPECT_NEAR(status().shm_dtime, time(nullptr), 2);
    now.shm_perm.mode = 0666;
    EXPECT_OK(shmctl(id_, IPC_SET, &now));
    EXPECT_EQ(status().shm_perm.mode, 0666);
    shm_info info = {};
    EXPECT_GE(shmctl(0, SHM_INFO, reinterpret_cast<shmid_ds*>(&info)), 0);
    EXPECT_GE(info.used_ids, 1);
    shminfo limits = {};
    EXPECT_GE(shmctl(0, IPC_INFO, reinterpret_cast<shmid_ds*>(&limits)), 0);
    EXPECT_EQ(limits.shmmin, 1u);
    EXPECT_EQ(limits.shmmni, 4096u);
    EXPECT_OK(shmctl(id_, SHM_LOCK, nullptr));
    EXPECT_EQ(status().shm_perm.mode & 02000, 02000);  // SHM_LOCKED
    EXPECT_OK(shmctl(id_, SHM_UNLOCK, nullptr));
}

TEST_F(SharedMemoryTest, Permissions) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    ASSERT_OK(seteuid(12345));
    EXPECT_EQ(attach(), nullptr);
    EXPECT_EQ(errno, EACCES);
    EXPECT_ERRNO(shmctl(id_, IPC_RMID, nullptr), EPERM);
    ASSERT_OK(seteuid(0));
}

TEST_F(SharedMemoryTest, ProcShowsThem) {
    char* at = attach();
    at[0] = 'x';
    std::ifstream table("/proc/sysvipc/shm");
    std::string line;
    bool found = false;
    while (std::getline(table, line)) {
        int key, id;
        unsigned mode, creator, last, count;
        unsigned long size;
        if (sscanf(line.c_str(), "%d %d %o %lu %u %u %u", &key, &id, &mode, &size, &creator, &last,
                   &count) != 7) {
            continue;
        }
        if (id != id_) continue;
        found = true;
        EXPECT_EQ(size, 10000u);
        EXPECT_EQ(count, 1u);
    }
    EXPECT_TRUE(found);
    std::ifstream maps("/proc/self/maps");
    const std::string name = "/SYSV00000000 (deleted)";
    found = false;
    while (std::getline(maps, line)) found |= line.ends_with(name);
    EXPECT_TRUE(found);
    EXPECT_OK(shmdt(at));
}

TEST(PosixSharedMemoryTest, NamesInDevShm) {
    const std::string name = "/coracle-" + std::to_string(getpid());
    EXPECT_ERRNO(shm_open(name.c_str(), O_RDWR, 0), ENOENT);
    int fd = shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    ASSERT_GE(fd, 0);
    EXPECT_ERRNO(shm_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    ASSERT_OK(ftruncate(fd, 8192));
    void* one = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void* two = mmap(nullptr, 8192, PROT_READ, MAP_SHARED, fd, 0);
    ASSERT_NE(one, MAP_FAILED);
    ASSERT_NE(two, MAP_FAILED);
    strcpy(static_cast<char*>(one) + 5000, "shared");
    EXPECT_STREQ(static_cast<char*>(two) + 5000, "shared");
    struct stat st;
    EXPECT_OK(stat(("/dev/shm" + name).c_str(), &st));
    EXPECT_EQ(st.st_size, 8192);
    EXPECT_OK(shm_unlink(name.c_str()));
    EXPECT_ERRNO(shm_unlink(name.c_str()), ENOENT);
    EXPECT_STREQ(static_cast<char*>(two) + 5000, "shared");
    munmap(one, 8192);
    munmap(two, 8192);
    close(fd);
}

}  // namespace
