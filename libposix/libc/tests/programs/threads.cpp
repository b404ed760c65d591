// Cancellation in blocking calls, thread-local storage, and what both do to unwinding.
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <unistd.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

struct alignas(64) Counter {
    int value = 7;
};
thread_local Counter counter;
thread_local int zero_initialised[100];
__thread int initialised = 42;

struct Announcer {
    const char* name;
    ~Announcer() { printf("unwound %s\n", name); }
};

void* blocked_in_read(void*) {
    Announcer announcer{"read"};
    int ends[2];
    if (pipe(ends) != 0) return nullptr;
    char byte;
    const ssize_t got = read(ends[0], &byte, 1);
    printf("not reached %zd\n", got);
    return nullptr;
}

void* blocked_in_pause(void*) {
    Announcer announcer{"pause"};
    pause();
    return nullptr;
}

void* blocked_in_wait(void*) {
    Announcer announcer{"sem_wait"};
    static sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    sem_wait(&semaphore);
    return nullptr;
}

void cancel(void* (*function)(void*)) {
    pthread_t thread;
    pthread_create(&thread, nullptr, function, nullptr);
    usleep(50000);
    pthread_cancel(thread);
    void* result;
    pthread_join(thread, &result);
    printf("cancelled: %d\n", result == PTHREAD_CANCELED);
}

void use_thread_storage() {
    std::vector<std::thread> threads;
    std::mutex mutex;
    int sum = 0;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&, i] {
            counter.value += i;
            zero_initialised[99] += i;
            initialised += i;
            const std::lock_guard lock(mutex);
            sum += counter.value + zero_initialised[99] + initialised;
        });
    for (std::thread& thread : threads) thread.join();
    printf("thread storage: %d, aligned %d, main %d %d\n", sum,
           reinterpret_cast<uintptr_t>(&counter) % 64 == 0, counter.value, initialised);
}

void throw_through_future() {
    auto result = std::async(std::launch::async,
                             []() -> int { throw std::runtime_error("from another thread"); });
    try {
        result.get();
    } catch (const std::exception& error) {
        printf("caught: %s\n", error.what());
    }
}

void exchange_turns() {
    std::mutex mutex;
    std::condition_variable changed;
    int turn = 0;
    std::thread other([&] {
        for (int i = 0; i < 1000; ++i) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return turn % 2 == 1; });
            ++turn;
            changed.notify_one();
        }
    });
    for (int i = 0; i < 1000; ++i) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return turn % 2 == 0; });
        ++turn;
        changed.notify_one();
    }
    other.join();
    printf("turns: %d\n", turn);
}

}  // namespace

int main() {
    setvbuf(stdout, nullptr, _IONBF, 0);
    cancel(blocked_in_read);
    cancel(blocked_in_pause);
    cancel(blocked_in_wait);
    use_thread_storage();
    throw_through_future();
    exchange_turns();
}
