/* Programs that go wrong, one a mode. The VM must end each as Linux would, with a report. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile int sink;

static int overflow(int depth) {
    volatile char frame[4096];
    frame[0] = (char)depth;
    return overflow(depth + 1) + frame[0];
}

static int exhaust_memory(void) {
    size_t size = (size_t)1 << 40;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return 3;
    for (size_t offset = 0; offset < size; offset += 4096) memory[offset] = 1;
    return 4;
}

static int fill_tmpfs(void) {
    static char block[1 << 16];
    int fd = open("/tmp/full", O_CREAT | O_WRONLY, 0600);
    if (fd < 0) return 3;
    for (;;) {
        ssize_t written = write(fd, block, sizeof(block));
        if (written < 0) {
            perror("write");
            unlink("/tmp/full");
            return 0;
        }
    }
}

static int ignore_broken_pipe(void) {
    signal(SIGPIPE, SIG_IGN);
    char block[4096];
    memset(block, 'x', sizeof(block));
    for (int i = 0; i < 1 << 20; i++) {
        if (write(1, block, sizeof(block)) < 0) {
            perror("write");
            return 9;
        }
    }
    return 4;
}

int main(int argc, char **argv) {
    const char *mode = argc > 1 ? argv[1] : "";
    if (!strcmp(mode, "null-read")) sink = *(volatile int *)0;
    if (!strcmp(mode, "null-call")) ((void (*)(void))0)();
    if (!strcmp(mode, "wild-jump")) ((void (*)(void))0xdeadbeef000)();
    if (!strcmp(mode, "kernel-jump")) ((void (*)(void))0xffffffff80100000)();
    if (!strcmp(mode, "stack-overflow")) return overflow(0);
    if (!strcmp(mode, "hlt")) __asm__ volatile("hlt");
    if (!strcmp(mode, "wrmsr")) __asm__ volatile("wrmsr" ::"c"(0x1b), "a"(0), "d"(0));
    if (!strcmp(mode, "undefined")) __asm__ volatile("ud2");
    if (!strcmp(mode, "divide")) return sink / (argc - 2);
    if (!strcmp(mode, "abort")) abort();
    if (!strcmp(mode, "memory")) return exhaust_memory();
    if (!strcmp(mode, "tmpfs")) return fill_tmpfs();
    if (!strcmp(mode, "broken-pipe")) return ignore_broken_pipe();
    return 2;
}
