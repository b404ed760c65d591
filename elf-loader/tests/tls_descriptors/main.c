// TLS descriptors (-mtls-dialect=gnu2): static for a library of the start, dynamic for one that
// dlopen loads; vector registers live across the access.
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

double sum_start(double a, double b, double c, double d);

static void* run(void* argument) {
    double (*sum)(double, double, double, double) = (double (*)(double, double, double, double))argument;
    printf("%g\n", sum(1, 2, 3, 4));
    printf("%g\n", sum(1, 2, 3, 4));
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
