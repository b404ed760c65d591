// TLS descriptors (-mtls-dialect=gnu2): static for a library of the start, dynamic for one that
// dlopen loads. (Integers only: the oracle, glibc 2.36, loses vector registers in dynamic ones.)
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

long sum_start(long a, long b, long c, long d);

static void* run(void* argument) {
    long (*sum)(long, long, long, long) = (long (*)(long, long, long, long))argument;
    printf("%ld\n", sum(1, 2, 3, 4));
    printf("%ld\n", sum(1, 2, 3, 4));
    return NULL;
}

int main(void) {
    run((void*)sum_start);
    void* handle = dlopen("libdescriptor.so", RTLD_NOW);
    if (!handle) {
        printf("%s\n", dlerror());
        return 1;
    }
    void* sum = dlsym(handle, "sum_loaded");
    run(sum);
    pthread_t thread;
    pthread_create(&thread, NULL, run, sum);
    pthread_join(thread, NULL);
    pthread_create(&thread, NULL, run, (void*)sum_start);
    pthread_join(thread, NULL);
    return 0;
}
