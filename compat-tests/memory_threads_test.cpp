// Threads that touch, map, unmap and protect the same memory at once: no write is lost, no page is
// seen that belongs elsewhere, and what a call has taken away is gone for all.
#include <gtest/gtest.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>

#include <random>

#include "memory_support.h"
#include "threads_support.h"

namespace {

constexpr int kThreads = 4;

// Runs a function in some threads, which begin together.
template <typename Function>
void together(Function function) {
    pthread_barrier_t barrier;
    pthread_barrier_init(&barrier, nullptr, kThreads);
    {
        Threads threads;
        for (int i = 0; i < kThreads; i++) {
            threads.start([&, i] {
                pthread_barrier_wait(&barrier);
                function(i);
            });
        }
    }
    pthread_barrier_destroy(&barrier);
}

std::atomic<uint32_t>& word_at(char* memory) {
    return *reinterpret_cast<std::atomic<uint32_t>*>(memory);
}

TEST(MemoryThreads, TheFirstTouchIsOnePageForAll) {
    constexpr size_t kPages = 600;  // more than a large page has
    for (int sharing : {MAP_PRIVATE, MAP_SHARED}) {
        Mapping memory(kPages * kPage, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS);
        together([&](int) {
            for (size_t page = 0; page < kPages; page++) word_at(memory.page(page))++;
        });
        for (size_t page = 0; page < kPages; page++) {
            ASSERT_EQ(word_at(memory.page(page)), uint32_t{kThreads}) << page;
        }
    }
}

TEST(MemoryThreads, TheFirstWriteIsOneCopyForAll) {
    constexpr size_t kPages = 30;
    const int fd = memfd_create("file", 0);
    const std::string content(kPages * kPage, 'f');
    ASSERT_EQ(write(fd, content.data(), content.size()), static_cast<ssize_t>(content.size()));
    for (int round = 0; round < 2; round++) {
        Mapping memory(kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
        together([&](int i) {
            for (size_t page = 0; page < kPages; page++) {
                EXPECT_EQ(memory.page(page)[kThreads], 'f');
                memory.page(page)[i] = static_cast<char>('0' + i);
            }
        });
        for (size_t page = 0; page < kPages; page++) {
            ASSERT_EQ(std::string(memory.page(page), kThreads + 1), "0123f") << page;
        }
    }
    char byte = 0;
    EXPECT_EQ(pread(fd, &byte, 1, 0), 1);
    EXPECT_EQ(byte, 'f');
    close(fd);
}

thread_local sigjmp_buf after_fault;
void leave(int) {
    siglongjmp(after_fault, 1);
}

// Threads that add to a word where they may, and go on where they may not.
class Writers {
  public:
    explicit Writers(char* page) : page_(page) {
        struct sigaction action = {};
        action.sa_handler = leave;
        sigaction(SIGSEGV, &action, &old_);
        for (int i = 1; i < kThreads; i++) {
            threads_.start([this] {
                if (sigsetjmp(after_fault, 1) != 0) sleep_ns(kMs / 5);
                while (!may_end_) {
                    word_at(page_)++;
                    writes_++;
                }
            });
        }
    }
    ~Writers() {
        may_end_ = true;
        for (std::thread& thread : threads_.all) thread.join();
        threads_.all.clear();
        sigaction(SIGSEGV, &old_, nullptr);
    }
    bool go_on() {
        const uint64_t before = writes_;
        return eventually([&] { return writes_ > before + 10; });
    }

  private:
    char* page_;
    std::atomic<bool> may_end_{false};
    std::atomic<uint64_t> writes_{0};
    struct sigaction old_;
    Threads threads_;
};

// Calls check(page) some times, right after a page that threads write to has become read-only.
template <typename Check>
void when_protected(Check check) {
    Mapping memory(kPage);
    char* page = memory.data();
    Writers writers(page);
    for (int round = 0; round < 10; round++) {
        ASSERT_TRUE(writers.go_on()) << round;
        ASSERT_EQ(mprotect(page, kPage, PROT_READ), 0);
        check(page);
        ASSERT_EQ(mprotect(page, kPage, PROT_READ | PROT_WRITE), 0);
    }
}

TEST(MemoryThreads, AfterMprotectNobodyWrites) {
    when_protected([](char* page) {
        const uint32_t seen = word_at(page);
        sleep_ns(kMs);
        EXPECT_EQ(word_at(page), seen);
    });
}

TEST(MemoryThreads, AfterDontneedNobodySeesTheOldPage) {
    when_protected([](char* page) {
        EXPECT_GT(word_at(page), 0u);
        ASSERT_EQ(madvise(page, kPage, MADV_DONTNEED), 0);
        EXPECT_EQ(word_at(page), 0u);
        std::thread([page] { EXPECT_EQ(word_at(page), 0u); }).join();
    });
}

TEST(MemoryThreads, ANewMappingReplacesTheOldForAll) {
    constexpr uint32_t kGenerations = 60;
    const int fd = memfd_create("generations", 0);
    ASSERT_EQ(ftruncate(fd, kGenerations * kPage), 0);
    for (uint32_t i = 0; i < kGenerations; i++) {
        ASSERT_EQ(pwrite(fd, &i, sizeof(i), i * kPage), static_cast<ssize_t>(sizeof(i)));
    }
    Mapping memory(kPage, PROT_READ, MAP_SHARED, fd);
    char* page = memory.data();
    std::atomic<uint32_t> generation{0};
    {
        Threads readers;
        for (int i = 1; i < kThreads; i++) {
            readers.start([&] {
                while (generation < kGenerations - 1) {
                    const uint32_t least = generation;
                    const uint32_t seen = word_at(page);
                    ASSERT_GE(seen, least);
                }
            });
        }
        for (uint32_t i = 1; i < kGenerations; i++) {
            ASSERT_EQ(mmap(page, kPage, PROT_READ, MAP_SHARED | MAP_FIXED, fd, i * kPage), page);
            generation = i;
            if (i % 4 == 0) sched_yield();
        }
    }
    close(fd);
}

// What one thread gives back, another one gets: a page that is seen in two places shows.
TEST(MemoryThreads, PagesThatComeAndGoAreTheThreadsOwn) {
    together([](int i) {
        std::minstd_rand random(static_cast<unsigned>(i) + 1);
        for (uint32_t round = 1; round <= 40; round++) {
            const size_t pages = 1 + random() % 30;
            Mapping memory(pages * kPage);
            const uint32_t mark = static_cast<uint32_t>(i) << 16 | round;
            for (size_t page = 0; page < pages; page++) {
                ASSERT_EQ(word_at(memory.page(page)), 0u) << "fresh";
                word_at(memory.page(page)) = mark;
            }
            if (round % 4 == 0) sched_yield();
            ASSERT_EQ(madvise(memory.data(), kPage, MADV_DONTNEED), 0);
            for (size_t page = 0; page < pages; page++) {
                ASSERT_EQ(word_at(memory.page(page)), page == 0 ? 0 : mark) << page;
            }
        }
    });
}

TEST(MemoryThreads, NeighboursChangeTheirOwnPages) {
    constexpr size_t kPages = 16 * kThreads;
    Mapping memory(kPages * kPage);
    together([&](int i) {
        for (uint32_t round = 1; round <= 5; round++) {
            for (auto page = static_cast<size_t>(i); page < kPages; page += kThreads) {
                char* own = memory.page(page);
                ASSERT_EQ(mprotect(own, kPage, PROT_READ | PROT_WRITE), 0);
                ASSERT_EQ(word_at(own), round - 1);
                word_at(own) = round;
                ASSERT_EQ(mprotect(own, kPage, PROT_READ), 0);
                ASSERT_EQ(word_at(own), round);
            }
        }
    });
}

}  // namespace
