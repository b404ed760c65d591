// The program's thread-local block, with its size and alignment, and the libraries' beside it, in
// the first thread and in others.
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char big[1 << 20] __attribute__((aligned(64))) = {1, 2, 3};
_Thread_local int shared = 5;
extern _Thread_local int library_value;
int* library_address(void);

static void* check(void* argument) {
    (void)argument;
    printf("%d %d %d %d aligned %d\n", big[0], big[2], big[sizeof big - 1], shared,
           ((uintptr_t)big & 63) == 0);
    printf("library %d same %d\n", library_value, &library_value == library_address());
    big[sizeof big - 1] = 9;
    shared = 6;
    library_value = 70;
    errno = EAGAIN;
    printf("%s\n", strerror(errno));
    return NULL;
}

int main(void) {
    check(NULL);
    for (int i = 0; i < 2; ++i) {
        pthread_t thread;
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, 4 << 20);
        if (pthread_create(&thread, &attributes, check, NULL) != 0) return 1;
        pthread_join(thread, NULL);
    }
    printf("%d %d %d\n", big[sizeof big - 1], shared, library_value);
    return 0;
}
