// How late sleeps end. Usage: lateness COUNT; prints "LATE MEDIAN P99 MAX" in nanoseconds.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000l + time.tv_nsec;
}

static int compare(const void* a, const void* b) {
    long x = *(const long*)a, y = *(const long*)b;
    return (x > y) - (x < y);
}

int main(int argc, char** argv) {
    long count = argc > 1 ? atol(argv[1]) : 500;
    long* late = calloc(count, sizeof(long));
    if (count < 1 || !late) return 1;
    srand(1);
    for (long i = 0; i < count; i++) {
        // 0.2 to 2.2 ms, so that no period of anybody's ticks is met.
        long end = now_ns() + 200000 + rand() % 2000000;
        struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
        if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL)) return 1;
        late[i] = now_ns() - end;
    }
    qsort(late, count, sizeof(long), compare);
    printf("LATE %ld %ld %ld\n", late[count / 2], late[count * 99 / 100], late[count - 1]);
    return 0;
}
