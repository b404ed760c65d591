// Many threads: at once, one after the other, and their limit.
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <vector>

namespace {

constexpr int kMany = 10'000;

// All threads meet here before one of them goes on.
struct Meeting {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t everybody_came = PTHREAD_COND_INITIALIZER, may_go = PTHREAD_COND_INITIALIZER;
    int present = 0;
    bool is_open = false;
    pid_t tids[kMany];

    void attend() {
        pthread_mutex_lock(&mutex);
        tids[present++] = gettid();
        pthread_cond_signal(&everybody_came);
        while (!is_open) pthread_cond_wait(&may_go, &mutex);
        pthread_mutex_unlock(&mutex);
    }
    void close(int expected) {
        pthread_mutex_lock(&mutex);
        while (present < expected) pthread_cond_wait(&everybody_came, &mutex);
        is_open = true;
        pthread_cond_broadcast(&may_go);
        pthread_mutex_unlock(&mutex);
    }
};
Meeting meeting;

// A host may allow fewer threads than the virtual machine.
bool start(std::vector<pthread_t>& threads, int count, void* (*function)(void*)) {
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, nullptr, function, nullptr) != 0) return false;
        threads.push_back(thread);
    }
    return true;
}

TEST(ThreadsMany, TenThousandAtOnce) {
    std::vector<pthread_t> threads;
    const bool all = start(threads, kMany, [](void*) -> void* {
        meeting.attend();
        return &meeting;
    });
    const int count = static_cast<int>(threads.size());
    meeting.close(count);
    for (pthread_t thread : threads) {
        void* answer = nullptr;
        ASSERT_EQ(pthread_join(thread, &answer), 0);
        ASSERT_EQ(answer, &meeting);
    }
    EXPECT_EQ(std::set<pid_t>(meeting.tids, meeting.tids + count).size(), threads.size());
    if (!all) GTEST_SKIP() << "this machine allows " << count << " threads only";
}

TEST(ThreadsMany, StacksComeBack) {
    std::atomic<int> runs{0};
    for (int i = 0; i < 3 * kMany; i++) {
        pthread_t thread;
        ASSERT_EQ(pthread_create(&thread, nullptr,
                                 [](void* counter) -> void* {
                                     ++*static_cast<std::atomic<int>*>(counter);
                                     return nullptr;
                                 },
                                 &runs),
                  0);
        ASSERT_EQ(pthread_join(thread, nullptr), 0);
    }
    EXPECT_EQ(runs, 3 * kMany);
}

// Whatever a thread calls deep in the kernel, its neighbours' stacks are untouched.
TEST(ThreadsMany, DeepCallsInEach) {
    std::vector<pthread_t> threads;
    ASSERT_TRUE(start(threads, 200, [](void*) -> void* {
        char target[4096];
        for (int i = 0; i < 20; i++) {
            if (readlink("/proc/self/exe", target, sizeof(target)) <= 0) return &meeting;
            sched_yield();
        }
        return nullptr;
    }));
    for (pthread_t thread : threads) {
        void* failure = nullptr;
        ASSERT_EQ(pthread_join(thread, &failure), 0);
        EXPECT_EQ(failure, nullptr);
    }
}

void* end_when_told(void* word) {
    while (!static_cast<std::atomic<bool>*>(word)->load()) sched_yield();
    return nullptr;
}

// RLIMIT_NPROC counts the user's threads, but not root's. It changes the user, so it comes last.
TEST(ThreadsMany, ZLimit) {
    const rlimit limit = {1, 1};
    ASSERT_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
    std::atomic<bool> may_end{false};
    pthread_t thread;
    if (geteuid() == 0) {
        ASSERT_EQ(pthread_create(&thread, nullptr, end_when_told, &may_end), 0);
        may_end = true;
        ASSERT_EQ(pthread_join(thread, nullptr), 0);
        ASSERT_EQ(syscall(SYS_setresuid, 12345, 12345, 12345), 0);
    }
    EXPECT_EQ(pthread_create(&thread, nullptr, end_when_told, &may_end), EAGAIN);
}

}  // namespace
