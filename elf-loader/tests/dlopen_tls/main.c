// Thread-local variables of libraries that come and go, seen by threads older than they are.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

static sem_t go, done;
static int* (*address)(void);

static void* old_thread(void* argument) {
    (void)argument;
    for (int i = 0; i < 2; ++i) {
        sem_wait(&go);
        int* value = address();
        printf("old thread: %d\n", (*value)++);
        sem_post(&done);
    }
    return NULL;
}

static void use(const char* name) {
    void* handle = dlopen(name, RTLD_NOW);
    if (!handle) {
        printf("%s\n", dlerror());
        return;
    }
    address = (int* (*)(void))dlsym(handle, "value_address");
    printf("%s: %d\n", name, (*address())++);
    printf("same: %d\n", dlsym(handle, "value") == (void*)address());
    sem_post(&go);
    sem_wait(&done);
    printf("still mine: %d\n", *address());
    dlclose(handle);
}

int main(void) {
    sem_init(&go, 0, 0);
    sem_init(&done, 0, 0);
    pthread_t thread;
    pthread_create(&thread, NULL, old_thread, NULL);
    use("libtls_a.so");
    use("libtls_b.so");
    pthread_join(thread, NULL);
    for (int i = 0; i < 50; ++i) {
        void* handle = dlopen(i % 2 ? "libtls_a.so" : "libtls_b.so", RTLD_NOW);
        int* (*get)(void) = (int* (*)(void))dlsym(handle, "value_address");
        if (*get() != 100 + !(i % 2)) printf("round %d: %d\n", i, *get());
        ++*get();
        dlclose(handle);
    }
    void* fixed = dlopen("libtls_fixed.so", RTLD_NOW);
    int* (*get)(void) = fixed ? (int* (*)(void))dlsym(fixed, "value_address") : NULL;
    printf("initial-exec: %d\n", get ? *get() : -1);
    void* huge = dlopen("libtls_huge.so", RTLD_NOW);
    printf("too big: %s\n", huge ? "loaded" : "refused");
    return 0;
}
