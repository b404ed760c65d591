// Eight threads with one to eight units of work each: how well they share the processors.
// Prints "UNEVEN ELAPSED CPU" in seconds; CPU is the sum of all threads' time.
#include <pthread.h>
#include <stdio.h>
#include <time.h>

enum { kThreads = 8 };
static const long kUnit = 50000000;

static double seconds(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static void* work(void* units) {
    volatile unsigned long result;
    unsigned long value = 12345;
    for (long i = 0; i < *(long*)units * kUnit; i++) {
        value = value * 6364136223846793005ul + 1442695040888963407ul;
        value ^= value >> 17;
    }
    result = value;
    (void)result;
    return NULL;
}

int main(void) {
    pthread_t threads[kThreads];
    long units[kThreads];
    double start = seconds(CLOCK_MONOTONIC);
    for (int i = 0; i < kThreads; i++) {
        units[i] = i + 1;
        if (pthread_create(&threads[i], NULL, work, &units[i])) return 1;
    }
    for (int i = 0; i < kThreads; i++) pthread_join(threads[i], NULL);
    printf("UNEVEN %.3f %.3f\n", seconds(CLOCK_MONOTONIC) - start,
           seconds(CLOCK_PROCESS_CPUTIME_ID));
    return 0;
}
