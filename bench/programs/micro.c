// What basic operations cost. Usage: micro time|fixed [threads|NAME...]
//   time   repeats each operation for about 50 ms, seven times
//   fixed  a fixed number of times between two marks, for counting instructions
// Prints "M NAME MEDIAN MIN MAX ITERATIONS" with nanoseconds for one operation, or
// "M NAME FAIL ERRNO".
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "mark.h"
#include "micro.h"

// Each operation runs `count` times and returns 0 or an errno.
typedef int Operation(long count);

static const char kFile[] = "/tmp/benchfile";

static unsigned long now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ul + time.tv_nsec;
}

// No system call: shows how fast the machine itself is.
static int cpu_loop(long count) {
    volatile unsigned long seed = 12345;
    unsigned long value = seed;
    for (long i = 0; i < count; i++) {
        value = value * 6364136223846793005ul + 1442695040888963407ul;
        value ^= value >> 17;
    }
    seed = value;
    return 0;
}

static int get_parent(long count) {
    for (long i = 0; i < count; i++) getppid();
    return 0;
}

static int get_clock(long count) {
    struct timespec time;
    for (long i = 0; i < count; i++) clock_gettime(CLOCK_MONOTONIC, &time);
    return 0;
}

static int read_zero(long count) {
    static int fd = -1;
    char byte;
    if (fd < 0) fd = open("/dev/zero", O_RDONLY);
    for (long i = 0; i < count; i++) {
        if (read(fd, &byte, 1) != 1) return errno;
    }
    return 0;
}

static int write_null(long count) {
    static int fd = -1;
    char byte = 0;
    if (fd < 0) fd = open("/dev/null", O_WRONLY);
    for (long i = 0; i < count; i++) {
        if (write(fd, &byte, 1) != 1) return errno;
    }
    return 0;
}

static int open_close(long count) {
    for (long i = 0; i < count; i++) {
        int fd = open(kFile, O_RDONLY);
        if (fd < 0) return errno;
        close(fd);
    }
    return 0;
}

static int stat_file(long count) {
    struct stat status;
    for (long i = 0; i < count; i++) {
        if (stat(kFile, &status)) return errno;
    }
    return 0;
}

static int map_touch_unmap(long count, size_t size) {
    for (long i = 0; i < count; i++) {
        volatile char* pages =
            mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED) return errno;
        for (size_t at = 0; at < size; at += 4096) pages[at] = 1;
        munmap((void*)pages, size);
    }
    return 0;
}
static int map_page(long count) {
    return map_touch_unmap(count, 4096);
}
static int map_large(long count) {
    return map_touch_unmap(count, 64ul << 20);
}

// Sixteen live blocks of 16 to 1039 bytes, replaced in random order.
static int allocate_free(long count) {
    void* blocks[16] = {0};
    unsigned random = 1;
    for (long i = 0; i < count; i++) {
        random = random * 1103515245u + 12345u;
        void** block = &blocks[random >> 16 & 15];
        free(*block);
        *block = malloc(16 + (random >> 8 & 1023));
        if (!*block) return ENOMEM;
        *(volatile char*)*block = 1;
    }
    for (int i = 0; i < 16; i++) free(blocks[i]);
    return 0;
}

static char text[65536], copy[65536];

// Somebody else may look at the bytes: nothing is left out or taken out of a loop.
static void show(const char* bytes) {
    __asm__ volatile("" ::"r"(bytes) : "memory");
}

static int copy_memory(long count) {
    show(text);
    for (long i = 0; i < count; i++) {
        memcpy(copy, text, sizeof(copy));
        show(copy);
    }
    return 0;
}

static int string_length(long count) {
    memset(text, 'x', 4096);
    text[4096] = 0;
    for (long i = 0; i < count; i++) {
        show(text);
        if (strlen(text) != 4096) return EIO;
    }
    return 0;
}

static volatile long handled;

static void count_signal(int signo) {
    (void)signo;
    handled++;
}

// A signal to oneself: kill(2), the handler, and the way back.
static int signal_self(long count) {
    const pid_t self = getpid();
    signal(SIGUSR1, count_signal);
    handled = 0;
    for (long i = 0; i < count; i++) kill(self, SIGUSR1);
    return handled == count ? 0 : EIO;
}

// Handlers that repair what faulted and go on, as language runtimes have them.
static void skip_access(int signo, siginfo_t* info, void* context) {
    (void)signo;
    (void)info;
    ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] += 2;  // mov (%rax),%eax
}

static int fault_and_handle(long count) {
    struct sigaction action = {.sa_sigaction = skip_access, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    for (long i = 0; i < count; i++) {
        long address = 8;
        __asm__ volatile(".byte 0x8b, 0x00" : "+a"(address));
    }
    signal(SIGSEGV, SIG_DFL);
    return 0;
}

// How late an absolute sleep wakes: the time that counts is not that which passes.
static unsigned long lateness_ns;

static int sleep_lateness(long count) {
    lateness_ns = 0;
    for (long i = 0; i < count; i++) {
        const unsigned long end = now_ns() + 200000;
        const struct timespec until = {.tv_sec = end / 1000000000, .tv_nsec = end % 1000000000};
        int error = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        if (error) return error;
        lateness_ns += now_ns() - end;
    }
    return 0;
}

static const struct Test {
    const char* name;
    Operation* operation;
    long fixed_count;
    int needs_threads;
} kTests[] = {
    {"cpu_loop", cpu_loop, 1000000, 0},
    {"getppid", get_parent, 20000, 0},
    {"clock_gettime", get_clock, 20000, 0},
    {"read1_zero", read_zero, 20000, 0},
    {"write1_null", write_null, 20000, 0},
    {"open_close", open_close, 5000, 0},
    {"stat", stat_file, 5000, 0},
    {"malloc_free", allocate_free, 100000, 0},
    {"memcpy_64k", copy_memory, 200, 0},
    {"strlen_4k", string_length, 5000, 0},
    {"mmap1_touch_munmap", map_page, 5000, 0},
    {"mmap64M_touch_munmap", map_large, 2, 0},
    {"signal_self", signal_self, 2000, 0},
    {"fault_and_handle", fault_and_handle, 2000, 0},
    {"sleep_lateness", sleep_lateness, 200, 0},
    {"eventfd_write_read", eventfd_write_read, 10000, 0},
    {"epoll_one_of_10", epoll_one_of_10, 5000, 0},
    {"epoll_one_of_1000", epoll_one_of_1000, 5000, 0},
    {"poll_one_of_10", poll_one_of_10, 5000, 0},
    {"timerfd_settime", timerfd_set, 5000, 0},
    {"thread_create_join", thread_create_join, 500, 1},
    {"futex_wake_nobody", futex_wake_nobody, 20000, 1},
    {"futex_pingpong", futex_ping_pong, 3000, 1},
    {"condvar_pingpong", condvar_ping_pong, 3000, 1},
    {"pipe_pingpong", pipe_ping_pong, 3000, 1},
    {"eventfd_pingpong", eventfd_ping_pong, 3000, 1},
    {"signal_pingpong", signal_ping_pong, 3000, 1},
    {"yield_switch", yield_switch, 20000, 1},
};

// What `count` operations take.
static int measure(const struct Test* test, long count, unsigned long* taken) {
    unsigned long start = now_ns();
    int error = test->operation(count);
    *taken = test->operation == sleep_lateness ? lateness_ns : now_ns() - start;
    return error;
}

static int run_fixed(const struct Test* test) {
    int error = test->operation(test->fixed_count / 10 + 1);
    if (error) return error;
    unsigned long taken;
    MARK(0010);
    error = measure(test, test->fixed_count, &taken);
    MARK(0011);
    double each = (double)taken / test->fixed_count;
    if (!error)
        printf("M %s %.1f %.1f %.1f %ld\n", test->name, each, each, each, test->fixed_count);
    return error;
}

static int compare(const void* a, const void* b) {
    double x = *(const double*)a, y = *(const double*)b;
    return (x > y) - (x < y);
}

static int run_timed(const struct Test* test) {
    enum { kRounds = 7 };
    const unsigned long kRoundNs = 50000000;
    long count = 1;
    unsigned long taken = 0;
    // Doubles until the clock can tell, then takes what fills a round.
    for (;;) {
        int error = measure(test, count, &taken);
        if (error) return error;
        if (taken > kRoundNs / 4 || count > 1l << 40) break;
        count *= 2;
    }
    count = (double)count * kRoundNs / (taken ? taken : 1);
    if (count < 1) count = 1;
    double each[kRounds];
    for (int i = 0; i < kRounds; i++) {
        int error = measure(test, count, &taken);
        if (error) return error;
        each[i] = (double)taken / count;
    }
    qsort(each, kRounds, sizeof(each[0]), compare);
    printf("M %s %.1f %.1f %.1f %ld\n", test->name, each[kRounds / 2], each[0], each[kRounds - 1],
           count);
    return 0;
}

static int is_chosen(const struct Test* test, int count, char** names) {
    if (count == 0) return !test->needs_threads;
    if (strcmp(names[0], "threads") == 0) return test->needs_threads;
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], test->name) == 0) return 1;
    }
    return 0;
}

int main(int argc, char** argv) {
    int fixed = argc > 1 && strcmp(argv[1], "fixed") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = open(kFile, O_CREAT | O_RDWR, 0644);
    if (fd < 0 || write(fd, "x", 1) != 1) {
        perror(kFile);
        return 1;
    }
    close(fd);
    for (size_t i = 0; i < sizeof(kTests) / sizeof(kTests[0]); i++) {
        const struct Test* test = &kTests[i];
        if (!is_chosen(test, argc > 2 ? argc - 2 : 0, argv + 2)) continue;
        int error = fixed ? run_fixed(test) : run_timed(test);
        if (error) printf("M %s FAIL %d\n", test->name, error);
    }
    printf("MICRO-END\n");
    return 0;
}
