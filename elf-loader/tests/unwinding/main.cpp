// What unwinds through libc's own frames: exceptions out of callbacks, thread exit and
// cancellation, backtrace(3).
#include <cxxabi.h>
#include <execinfo.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

struct Noisy {
    const char* name;
    ~Noisy() { std::printf("%s unwound\n", name); }
};

static int throwing_compare(const void*, const void*) {
    throw 7;
}

static void* leave(void*) {
    Noisy noisy{"pthread_exit"};
    pthread_exit(const_cast<char*>("left"));
}

static void* wait_forever(void* pipe_end) {
    Noisy noisy{"cancelled read"};
    char byte;
    try {
        while (read(*static_cast<int*>(pipe_end), &byte, 1) >= 0) {
        }
    } catch (abi::__forced_unwind&) {
        std::puts("forced unwind seen");
        throw;
    }
    return nullptr;
}

static int depth() {
    void* frames[64];
    return backtrace(frames, 64);
}

int main() {
    int values[3] = {3, 1, 2};
    try {
        Noisy noisy{"qsort's caller"};
        std::qsort(values, 3, sizeof values[0], throwing_compare);
    } catch (int value) {
        std::printf("thrown through qsort: %d\n", value);
    }
    try {
        (void)std::bsearch(values, values, 3, sizeof values[0], throwing_compare);
    } catch (int value) {
        std::printf("thrown through bsearch: %d\n", value);
    }

    pthread_t thread;
    void* result;
    pthread_create(&thread, nullptr, leave, nullptr);
    pthread_join(thread, &result);
    std::printf("%s\n", static_cast<char*>(result));

    int ends[2];
    if (pipe(ends) != 0) return 1;
    pthread_create(&thread, nullptr, wait_forever, &ends[0]);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    std::printf("cancelled %d\n", result == PTHREAD_CANCELED);
    std::printf("backtrace: %d\n", depth() >= 2);
    return 0;
}
