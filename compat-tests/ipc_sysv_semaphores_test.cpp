// System V semaphores: semget, semop, semtimedop, semctl.
#include <sys/sem.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "files_support.h"
#include "thread_waits.h"

namespace {

union SemaphoreArgument {
    int val;
    semid_ds* buf;
    unsigned short* array;
    seminfo* info;
};

class SemaphoresTest : public testing::Test {
  protected:
    SemaphoresTest() : id_(semget(IPC_PRIVATE, 3, 0600)) { EXPECT_GE(id_, 0); }
    ~SemaphoresTest() override { semctl(id_, 0, IPC_RMID); }
    int operate(std::vector<sembuf> operations) {
        return semop(id_, operations.data(), operations.size());
    }
    int value(int index) { return semctl(id_, index, GETVAL); }
    int set(int index, int value) {
        SemaphoreArgument argument;
        argument.val = value;
        return semctl(id_, index, SETVAL, argument);
    }
    semid_ds status() {
        semid_ds result = {};
        SemaphoreArgument argument;
        argument.buf = &result;
        EXPECT_OK(semctl(id_, 0, IPC_STAT, argument));
        return result;
    }
    static constexpr short kNoWait = IPC_NOWAIT;
    int id_;
};

TEST_F(SemaphoresTest, ValuesChangeTogetherOrNotAtAll) {
    EXPECT_EQ(value(0), 0);
    EXPECT_OK(operate({{0, 3, 0}, {1, 5, 0}}));
    EXPECT_EQ(value(0), 3);
    EXPECT_EQ(value(1), 5);
    EXPECT_ERRNO(operate({{1, -5, 0}, {0, -4, kNoWait}}), EAGAIN);
    EXPECT_EQ(value(1), 5);
    EXPECT_OK(operate({{1, -5, 0}, {1, 0, kNoWait}, {0, -3, kNoWait}}));
    EXPECT_ERRNO(operate({{2, 1, 0}, {2, 0, kNoWait}}), EAGAIN);
    EXPECT_EQ(value(2), 0);
    EXPECT_EQ(semctl(id_, 0, GETPID), getpid());
}

TEST_F(SemaphoresTest, OperationErrors) {
    EXPECT_ERRNO(semop(id_, nullptr, 0), EINVAL);
    EXPECT_ERRNO(semop(-1, nullptr, 1), EFAULT);
    EXPECT_ERRNO(semop(-1, nullptr, 0), EINVAL);
    std::vector<sembuf> many(501, sembuf{0, 1, 0});
    EXPECT_ERRNO(operate(many), E2BIG);
    many.resize(500);
    EXPECT_OK(operate(many));
    EXPECT_EQ(value(0), 500);
    EXPECT_ERRNO(operate({{3, 1, 0}}), EFBIG);
    EXPECT_ERRNO(operate({{0, 32767, 0}}), ERANGE);
    EXPECT_EQ(value(0), 500);
    EXPECT_ERRNO(semop(id_, reinterpret_cast<sembuf*>(bad_pointer()), 1), EFAULT);
    EXPECT_ERRNO(semop(id_, reinterpret_cast<sembuf*>(kernel_pointer()), 1), EFAULT);
    EXPECT_ERRNO(semop(12345678, many.data(), 1), EINVAL);
    timespec timeout = {0, 1000000000};
    EXPECT_ERRNO(semtimedop(id_, many.data(), 1, &timeout), EINVAL);
}

TEST_F(SemaphoresTest, TimeoutsEnd) {
    sembuf wait = {0, -1, 0};
    timespec timeout = {0, 30000000};
    EXPECT_ERRNO(semtimedop(id_, &wait, 1, &timeout), EAGAIN);
    timeout = {0, 0};
    EXPECT_ERRNO(semtimedop(id_, &wait, 1, &timeout), EAGAIN);
    EXPECT_OK(set(0, 1));
    EXPECT_OK(semtimedop(id_, &wait, 1, &timeout));
    EXPECT_OK(set(0, 1));
    EXPECT_OK(semtimedop(id_, &wait, 1, nullptr));
}

TEST_F(SemaphoresTest, SettingValues) {
    unsigned short values[3] = {1, 2, 3}, got[3];
    SemaphoreArgument argument;
    argument.array = values;
    EXPECT_OK(semctl(id_, 0, SETALL, argument));
    argument.array = got;
    EXPECT_OK(semctl(id_, 0, GETALL, argument));
    EXPECT_EQ(memcmp(values, got, sizeof(got)), 0);
    EXPECT_ERRNO(set(0, -1), ERANGE);
    EXPECT_ERRNO(set(0, 32768), ERANGE);
    EXPECT_ERRNO(set(3, 1), EINVAL);
    EXPECT_ERRNO(set(-1, 1), EINVAL);
    EXPECT_ERRNO(semctl(id_, 3, GETVAL), EINVAL);
    values[1] = 40000;
    argument.array = values;
    EXPECT_ERRNO(semctl(id_, 0, SETALL, argument), ERANGE);
    EXPECT_EQ(value(0), 1);
    argument.array = reinterpret_cast<unsigned short*>(bad_pointer());
    EXPECT_ERRNO(semctl(id_, 0, GETALL, argument), EFAULT);
    EXPECT_ERRNO(semctl(id_, 0, 999), EINVAL);
}

TEST_F(SemaphoresTest, KeysFindSets) {
    const key_t key = 0x5e3a0000 | (getpid() & 0xffff);
    EXPECT_ERRNO(semget(key, 2, 0600), ENOENT);
    EXPECT_ERRNO(semget(key, 0, IPC_CREAT | 0600), EINVAL);
    EXPECT_ERRNO(semget(key, -1, IPC_CREAT | 0600), EINVAL);
    EXPECT_ERRNO(semget(key, 1 << 20, IPC_CREAT | 0600), EINVAL);
    const int id = semget(key, 2, IPC_CREAT | IPC_EXCL | 0640);
    ASSERT_GE(id, 0);
    EXPECT_EQ(semget(key, 2, 0600), id);
    EXPECT_EQ(semget(key, 0, 0), id);
    EXPECT_EQ(semget(key, 1, IPC_CREAT | 0600), id);
    EXPECT_ERRNO(semget(key, 3, 0600), EINVAL);
    EXPECT_ERRNO(semget(key, 2, IPC_CREAT | IPC_EXCL), EEXIST);
    EXPECT_OK(semctl(id, 0, IPC_RMID));
    EXPECT_ERRNO(semget(key, 2, 0600), ENOENT);
    EXPECT_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

TEST_F(SemaphoresTest, StatusIsKept) {
    semid_ds before = status();
    EXPECT_EQ(before.sem_nsems, 3u);
    EXPECT_EQ(before.sem_perm.mode, 0600);
    EXPECT_EQ(before.sem_perm.uid, geteuid());
    EXPECT_EQ(before.sem_perm.cuid, geteuid());
    EXPECT_EQ(before.sem_otime, 0);
    EXPECT_NEAR(before.sem_ctime, time(nullptr), 2);
    EXPECT_OK(operate({{0, 1, 0}}));
    EXPECT_NEAR(status().sem_otime, time(nullptr), 2);
    before.sem_perm.mode = 0644;
    SemaphoreArgument argument;
    argument.buf = &before;
    EXPECT_OK(semctl(id_, 0, IPC_SET, argument));
    EXPECT_EQ(status().sem_perm.mode, 0644);
    seminfo info = {};
    argument.info = &info;
    EXPECT_GE(semctl(0, 0, IPC_INFO, argument), 0);
    EXPECT_EQ(info.semopm, 500);
    EXPECT_EQ(info.semvmx, 32767);
    EXPECT_GE(semctl(0, 0, SEM_INFO, argument), 0);
    EXPECT_GE(info.semusz, 1);
    EXPECT_GE(info.semaem, 3);
}

TEST_F(SemaphoresTest, Permissions) {
    if (geteuid() != 0) GTEST_SKIP() << "needs to become another user";
    ASSERT_OK(seteuid(12345));
    EXPECT_ERRNO(operate({{0, 1, 0}}), EACCES);
    EXPECT_ERRNO(semctl(id_, 0, GETVAL), EACCES);
    EXPECT_ERRNO(semctl(id_, 0, IPC_RMID), EPERM);
    ASSERT_OK(seteuid(0));
}

TEST_F(SemaphoresTest, ProcShowsThem) {
    bool found = false;
    std::string table = [] {
        std::string text;
        char buffer[4096];
        int fd = open("/proc/sysvipc/sem", O_RDONLY);
        for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) text.append(buffer, got);
        close(fd);
        return text;
    }();
    EXPECT_EQ(
        table.substr(0, table.find('\n')),
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime");
    for (size_t at = table.find('\n'); at != table.npos; at = table.find('\n', at + 1)) {
        int key, id;
        unsigned mode, count;
        if (sscanf(table.c_str() + at, "%d %d %o %u", &key, &id, &mode, &count) != 4) continue;
        if (id != id_) continue;
        found = true;
        EXPECT_EQ(key, 0);
        EXPECT_EQ(mode, 0600u);
        EXPECT_EQ(count, 3u);
    }
    EXPECT_TRUE(found);
}

TEST_F(SemaphoresTest, WaitersAreServedInTheirOrder) {
    std::atomic<int> first_done = 0, second_done = 0;
    std::thread first([&] {
        EXPECT_OK(operate({{0, -2, 0}}));
        first_done = 1;
    });
    EXPECT_TRUE(eventually([&] { return semctl(id_, 0, GETNCNT) == 1; }));
    std::thread second([&] {
        EXPECT_OK(operate({{0, -2, 0}}));
        second_done = 1;
    });
    EXPECT_TRUE(eventually([&] { return semctl(id_, 0, GETNCNT) == 2; }));
    EXPECT_EQ(semctl(id_, 0, GETZCNT), 0);
    EXPECT_OK(operate({{0, 1, 0}}));
    EXPECT_OK(operate({{0, 1, 0}}));
    first.join();
    EXPECT_EQ(first_done, 1);
    EXPECT_EQ(second_done, 0);
    EXPECT_OK(operate({{0, 2, 0}}));
    second.join();
    EXPECT_EQ(value(0), 0);
}

TEST_F(SemaphoresTest, ZeroIsWaitedFor) {
    EXPECT_OK(set(1, 1));
    std::thread waiter([&] { EXPECT_OK(operate({{1, 0, 0}})); });
    EXPECT_TRUE(eventually([&] { return semctl(id_, 1, GETZCNT) == 1; }));
    EXPECT_OK(operate({{1, -1, 0}}));
    waiter.join();
}

TEST_F(SemaphoresTest, RemovalWakes) {
    std::thread waiter([&] { EXPECT_ERRNO(operate({{0, -1, 0}}), EIDRM); });
    EXPECT_TRUE(eventually([&] { return semctl(id_, 0, GETNCNT) == 1; }));
    EXPECT_OK(semctl(id_, 0, IPC_RMID));
    waiter.join();
}

TEST_F(SemaphoresTest, SignalsInterrupt) {
    struct sigaction action = {};
    action.sa_handler = [](int) {};
    action.sa_flags = SA_RESTART;  // to no avail
    ASSERT_OK(sigaction(SIGUSR1, &action, nullptr));
    std::thread waiter([&] { EXPECT_ERRNO(operate({{0, -1, 0}}), EINTR); });
    EXPECT_TRUE(eventually([&] { return semctl(id_, 0, GETNCNT) == 1; }));
    pthread_kill(waiter.native_handle(), SIGUSR1);
    waiter.join();
    EXPECT_EQ(semctl(id_, 0, GETNCNT), 0);
}

TEST_F(SemaphoresTest, UndoIsLimited) {
    EXPECT_OK(operate({{0, 100, SEM_UNDO}}));
    EXPECT_OK(operate({{0, -50, SEM_UNDO}}));
    EXPECT_EQ(value(0), 50);
    EXPECT_OK(set(0, 0));
    EXPECT_OK(operate({{0, 32767, SEM_UNDO}}));
    EXPECT_OK(operate({{0, -32767, 0}}));
    EXPECT_OK(operate({{0, 1, SEM_UNDO}}));
    EXPECT_ERRNO(operate({{0, 1, SEM_UNDO}}), ERANGE);
    EXPECT_OK(operate({{0, 1, 0}}));
}

}  // namespace
