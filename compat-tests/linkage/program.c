// One program, linked in every way that a Linux program can be (CMakeLists.txt): what it prints is
// the same on the host and in the VM.
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static __thread int thread_number = 41;
static __thread char thread_zeroes[5000];
static int constructed;
static sigjmp_buf after_fault;

__attribute__((constructor)) static void construct(void) {
    constructed = 1;
}
__attribute__((destructor)) static void destruct(void) {
    puts("destructor");
}
static void at_exit(void) {
    puts("atexit");
}
static void on_fault(int signo) {
    siglongjmp(after_fault, signo);
}
static int by_number(const void* a, const void* b) {
    return *(const int*)a - *(const int*)b;
}

int main(int argc, char** argv) {
    printf("argc %d:", argc);
    for (int i = 1; i < argc; i++) printf(" [%s]", argv[i]);
    printf("\nconstructed %d, thread %d, zeroes %d\n", constructed, ++thread_number,
           thread_zeroes[4999]);
    printf("VARIABLE=%s\n", getenv("VARIABLE"));
    printf("%.3f %.3f %a\n", sqrt(2), pow(2, 0.5), 1.0 / 3);

    int numbers[] = {5, 3, 9, 1};
    qsort(numbers, 4, sizeof(int), by_number);
    printf("%d %d %d %d\n", numbers[0], numbers[1], numbers[2], numbers[3]);
    char* block = malloc(1 << 20);
    memset(block, 'x', 1 << 20);
    block = realloc(block, 4 << 20);
    printf("%c %c\n", block[0], block[(1 << 20) - 1]);
    free(block);

    errno = 0;
    int fd = open("/no/such/file", O_RDONLY);
    printf("open: %d, errno %d\n", fd, errno);
    FILE* file = fopen("/tmp/linkage-test", "w+");
    fprintf(file, "line %d\n", 7);
    rewind(file);
    char line[32];
    printf("read back: %s", fgets(line, sizeof(line), file));
    fclose(file);
    unlink("/tmp/linkage-test");

    signal(SIGSEGV, on_fault);
    int signo = sigsetjmp(after_fault, 1);
    if (signo == 0) *(volatile int*)8 = 1;
    printf("fault: signal %d\n", signo);

    struct timespec now, resolution;
    printf("clock: %d %d\n", clock_gettime(CLOCK_MONOTONIC, &now),
           clock_getres(CLOCK_REALTIME, &resolution));
    printf("page size %ld, AT_PAGESZ %lu, entry %d\n", sysconf(_SC_PAGESIZE), getauxval(AT_PAGESZ),
           getauxval(AT_ENTRY) != 0);
    setlocale(LC_ALL, "");
    atexit(at_exit);
    return 17;
}
