// Robust lists: what becomes of the locks of a thread that ends, by glibc's mutexes and by lists of
// the test's own.
#include <gtest/gtest.h>
#include <limits.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include <memory>

#include "threads_support.h"

namespace {

struct Entry {
    Entry* next = nullptr;
    Word word{0};
};

// A list as the kernel reads it (struct robust_list_head), for the thread that registers it.
struct List {
    Entry* first = reinterpret_cast<Entry*>(this);
    long offset = offsetof(Entry, word);
    Entry* pending = nullptr;

    void add(Entry& entry, bool inherits_priority = false) {
        entry.next = first;
        first = reinterpret_cast<Entry*>(reinterpret_cast<uintptr_t>(&entry) | inherits_priority);
    }
    Entry* end() { return reinterpret_cast<Entry*>(this); }
};

// A thread that sets up a list, and ends without glibc's help.
template <typename Function>
void end_with_list(Function set_up) {
    std::unique_ptr<List> list(new List);
    std::thread([&] {
        set_up(*list, static_cast<uint32_t>(gettid()));
        ASSERT_EQ(0, syscall(SYS_set_robust_list, list.get(), sizeof(List)));
        syscall(SYS_exit, 0);
    }).join();
}

TEST(ThreadsRobust, ListIsAThreads) {
    List own;
    struct {
        List* head = nullptr;
        size_t length = 0;
    } told;
    Sleeper sleeper;
    const auto get = [&](pid_t tid) {
        return syscall(SYS_get_robust_list, tid, &told.head, &told.length);
    };
    std::thread([&] {
        EXPECT_EQ(0, get(0));
        List* const glibcs = told.head;
        EXPECT_NE(nullptr, glibcs);
        EXPECT_EQ(0, syscall(SYS_set_robust_list, &own, sizeof(own)));
        EXPECT_EQ(0, get(gettid()));
        EXPECT_EQ(&own, told.head);
        EXPECT_EQ(24u, told.length);
        EXPECT_EQ(0, get(sleeper.tid()));
        EXPECT_NE(&own, told.head);
        EXPECT_EQ(0, syscall(SYS_set_robust_list, glibcs, sizeof(own)));
    }).join();
    EXPECT_ERRNO(EINVAL, syscall(SYS_set_robust_list, &own, sizeof(own) - 1));
    EXPECT_ERRNO(EINVAL, syscall(SYS_set_robust_list, &own, 0));
    EXPECT_ERRNO(ESRCH, get(0x3fffffff));
    EXPECT_ERRNO(EFAULT, syscall(SYS_get_robust_list, 0, 8, &told.length));
    EXPECT_ERRNO(EFAULT, syscall(SYS_get_robust_list, 0, &told.head, 8));
}

TEST(ThreadsRobust, OwnersWordsAreMarked) {
    Entry owned, waited_for, anothers, plain;
    const auto another = static_cast<uint32_t>(gettid());
    end_with_list([&](List& list, uint32_t tid) {
        owned.word = tid;
        waited_for.word = tid | FUTEX_WAITERS;
        anothers.word = another;
        for (Entry* entry : {&owned, &waited_for, &anothers, &plain}) list.add(*entry);
    });
    EXPECT_EQ(FUTEX_OWNER_DIED, owned.word);
    EXPECT_EQ(FUTEX_OWNER_DIED | FUTEX_WAITERS, waited_for.word);
    EXPECT_EQ(another, anothers.word);
    EXPECT_EQ(0u, plain.word);
}

// Whether the end of a thread with an operation in progress wakes a waiter, where the word holds a
// value.
bool pending_wakes(uint32_t flags, bool is_owned, bool inherits_priority = false) {
    Entry entry;
    std::atomic<bool> is_ready{false};
    std::atomic<pid_t> waiting{0};
    std::thread waiter([&] {
        while (!is_ready) usleep(100);
        const uint32_t value = entry.word;
        waiting = gettid();
        EXPECT_EQ(0, futex(&entry.word, FUTEX_WAIT, value));
    });
    end_with_list([&](List& list, uint32_t tid) {
        entry.word = flags | (is_owned ? tid : 0);
        is_ready = true;
        while (waiting == 0) usleep(100);
        EXPECT_TRUE(asleep(waiting));
        list.pending = reinterpret_cast<Entry*>(reinterpret_cast<uintptr_t>(&entry) |
                                                inherits_priority);
    });
    const bool is_woken = futex(&entry.word, FUTEX_WAKE, 1) == 0;
    waiter.join();
    const uint32_t expected = is_owned ? (flags & FUTEX_WAITERS) | FUTEX_OWNER_DIED : flags;
    EXPECT_EQ(expected, entry.word);
    return is_woken;
}

TEST(ThreadsRobust, PendingOperations) {
    EXPECT_TRUE(pending_wakes(0, false)) << "released, and nobody woken yet";
    EXPECT_TRUE(pending_wakes(FUTEX_WAITERS, false));
    EXPECT_FALSE(pending_wakes(0, false, true)) << "the kernel's to pass on";
    EXPECT_TRUE(pending_wakes(FUTEX_WAITERS, true)) << "taken, and not in the list yet";
    EXPECT_FALSE(pending_wakes(0, true)) << "nobody says that he waits";
    EXPECT_FALSE(pending_wakes(5, false)) << "another's";
}

TEST(ThreadsRobust, OneThatIsPendingToo) {
    Entry entry;
    end_with_list([&](List& list, uint32_t tid) {
        entry.word = tid;
        list.add(entry);
        list.pending = &entry;
    });
    EXPECT_EQ(FUTEX_OWNER_DIED, entry.word);
}

TEST(ThreadsRobust, OnlyOneWaiterIsWoken) {
    Entry entry;
    std::atomic<pid_t> tids[3] = {};
    std::atomic<uint32_t> value{0};
    Threads waiters;
    for (auto& tid : tids) {
        waiters.start([&] {
            while (value == 0) usleep(100);
            tid = gettid();
            EXPECT_EQ(0, futex(&entry.word, FUTEX_WAIT, value));
        });
    }
    end_with_list([&](List& list, uint32_t owner) {
        entry.word = owner | FUTEX_WAITERS;
        list.add(entry);
        value = entry.word.load();
        for (auto& tid : tids) {
            while (tid == 0) usleep(100);
            EXPECT_TRUE(asleep(tid));
        }
    });
    EXPECT_EQ(2, futex(&entry.word, FUTEX_WAKE, INT_MAX));
}

TEST(ThreadsRobust, BrokenListsHurtNobody) {
    Entry first, second;
    // A circle that never comes back to its head.
    end_with_list([&](List& list, uint32_t tid) {
        first.word = second.word = tid;
        first.next = &second;
        second.next = &first;
        list.first = &first;
    });
    EXPECT_EQ(FUTEX_OWNER_DIED, first.word);
    EXPECT_EQ(FUTEX_OWNER_DIED, second.word);
    // One that leads nowhere: what comes before is marked.
    end_with_list([&](List& list, uint32_t tid) {
        first.word = tid;
        first.next = reinterpret_cast<Entry*>(16);
        list.first = &first;
    });
    EXPECT_EQ(FUTEX_OWNER_DIED, first.word);
    end_with_list([&](List& list, uint32_t tid) {
        first.word = tid;
        list.first = reinterpret_cast<Entry*>(16);
        list.pending = &first;
    });
    EXPECT_EQ(first.word & ~FUTEX_TID_MASK, 0u) << "after a fault, not even what was pending";
    std::thread([] {
        EXPECT_EQ(0, syscall(SYS_set_robust_list, 16, sizeof(List)));
        syscall(SYS_exit, 0);
    }).join();
}

class Mutex {
  public:
    explicit Mutex(int shared = PTHREAD_PROCESS_PRIVATE, int type = PTHREAD_MUTEX_NORMAL) {
        pthread_mutexattr_t attributes;
        pthread_mutexattr_init(&attributes);
        pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
        pthread_mutexattr_setpshared(&attributes, shared);
        pthread_mutexattr_settype(&attributes, type);
        pthread_mutex_init(&mutex_, &attributes);
        pthread_mutexattr_destroy(&attributes);
    }
    ~Mutex() { pthread_mutex_destroy(&mutex_); }
    pthread_mutex_t* get() { return &mutex_; }
    void orphan() {
        std::thread([this] { EXPECT_EQ(0, pthread_mutex_lock(get())); }).join();
    }

  private:
    pthread_mutex_t mutex_;
};

TEST(ThreadsRobust, GlibcsMutexes) {
    for (int type : {PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_RECURSIVE}) {
        Mutex mutex(PTHREAD_PROCESS_PRIVATE, type);
        mutex.orphan();
        EXPECT_EQ(EOWNERDEAD, pthread_mutex_trylock(mutex.get()));
        EXPECT_EQ(0, pthread_mutex_consistent(mutex.get()));
        EXPECT_EQ(0, pthread_mutex_unlock(mutex.get()));
        mutex.orphan();
        const timespec time = after_ms(CLOCK_REALTIME, 60'000);
        EXPECT_EQ(EOWNERDEAD, pthread_mutex_timedlock(mutex.get(), &time));
        EXPECT_EQ(0, pthread_mutex_unlock(mutex.get())) << "without making it consistent";
        EXPECT_EQ(ENOTRECOVERABLE, pthread_mutex_lock(mutex.get()));
        EXPECT_EQ(ENOTRECOVERABLE, pthread_mutex_trylock(mutex.get()));
    }
}

TEST(ThreadsRobust, ManyThatOneThreadHeld) {
    constexpr int kCount = 100;
    auto mutexes = std::make_unique<Mutex[]>(kCount);
    std::thread([&] {
        for (int i = 0; i < kCount; i++) pthread_mutex_lock(mutexes[i].get());
        for (int i = 0; i < kCount; i += 2) pthread_mutex_unlock(mutexes[i].get());
    }).join();
    for (int i = 0; i < kCount; i++) {
        EXPECT_EQ(i % 2 ? EOWNERDEAD : 0, pthread_mutex_lock(mutexes[i].get())) << i;
        if (i % 2) pthread_mutex_consistent(mutexes[i].get());
        pthread_mutex_unlock(mutexes[i].get());
    }
}

TEST(ThreadsRobust, WaitersInheritInTurn) {
    Mutex mutex;
    std::atomic<bool> is_locked{false};
    std::atomic<int> orphans{0};
    {
        Threads threads;
        threads.start([&] {
            pthread_mutex_lock(mutex.get());
            is_locked = true;
            usleep(30'000);
        });
        while (!is_locked) usleep(100);
        // Each of them ends with the mutex, but makes it consistent before.
        for (int i = 0; i < 4; i++) {
            threads.start([&] {
                if (pthread_mutex_lock(mutex.get()) == EOWNERDEAD) orphans++;
                pthread_mutex_consistent(mutex.get());
            });
        }
    }
    EXPECT_EQ(4, orphans);
    EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(mutex.get()));
    pthread_mutex_consistent(mutex.get());
    pthread_mutex_unlock(mutex.get());
}

TEST(ThreadsRobust, SharedMemorySeenTwice) {
    const int fd = memfd_create("mutex", 0);
    ASSERT_EQ(0, ftruncate(fd, 4096));
    void* views[2];
    for (void*& view : views) {
        view = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        ASSERT_NE(MAP_FAILED, view);
    }
    auto* mutex = new (views[0]) Mutex(PTHREAD_PROCESS_SHARED);
    auto* same = static_cast<Mutex*>(views[1]);
    mutex->orphan();
    EXPECT_EQ(EOWNERDEAD, pthread_mutex_lock(same->get()));
    EXPECT_EQ(0, pthread_mutex_consistent(same->get()));
    EXPECT_EQ(0, pthread_mutex_unlock(same->get()));
    for (void* view : views) munmap(view, 4096);
    close(fd);
}

}  // namespace
