// Cancellation without libgcc_s.so.1, which a C program does not load.
#include <execinfo.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

static void clean_up(void* name) {
    printf("cleaned up %s\n", (char*)name);
}

static void* blocked_in_read(void* end) {
    char byte;
    pthread_cleanup_push(clean_up, "read");
    if (read(*(int*)end, &byte, 1) < 0) perror("read");
    pthread_cleanup_pop(0);
    return NULL;
}

static void* leaves(void* unused) {
    pthread_cleanup_push(clean_up, "exit");
    pthread_exit(unused);
    pthread_cleanup_pop(0);
    return NULL;
}

int main(void) {
    int ends[2];
    pthread_t thread;
    void* result;
    if (pipe(ends) != 0) return 1;
    pthread_create(&thread, NULL, blocked_in_read, ends);
    usleep(50000);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled: %d\n", result == PTHREAD_CANCELED);
    pthread_create(&thread, NULL, leaves, ends);
    pthread_join(thread, &result);
    printf("left: %d\n", result == ends);
    void* frames[10];
    printf("frames: %d\n", backtrace(frames, 10) >= 2);
    return 0;
}
