// More modules with thread-local variables than the first thread's vector and its list of modules
// have room for, in a thread that is older than they are and in one that is younger.
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kLibraries = 300 };
static void* handles[kLibraries];
static int* (*address[kLibraries])(void);
static sem_t loaded, checked;

static int copy(const char* from, const char* to) {
    static char bytes[1 << 20];
    FILE* in = fopen(from, "rb");
    FILE* out = fopen(to, "wb");
    if (!in || !out) return -1;
    size_t size = fread(bytes, 1, sizeof bytes, in);
    fwrite(bytes, 1, size, out);
    fclose(in);
    return fclose(out);
}

static int check(int step) {
    int wrong = 0;
    for (int i = 0; i < kLibraries; i += step) {
        if (*address[i]() != 3) ++wrong;
        *address[i]() = i;
    }
    for (int i = 0; i < kLibraries; i += step)
        if (*address[i]() != i) ++wrong;
    return wrong;
}

static void* thread(void* argument) {
    sem_wait(&loaded);
    printf("%s thread: %d wrong\n", (char*)argument, check(7));
    sem_post(&checked);
    return NULL;
}

int main(void) {
    char folder[] = "/tmp/many_tls.XXXXXX";
    if (!mkdtemp(folder)) return 1;
    sem_init(&loaded, 0, 0);
    sem_init(&checked, 0, 0);
    pthread_t old;
    pthread_create(&old, NULL, thread, "old");
    for (int i = 0; i < kLibraries; ++i) {
        char path[64];
        snprintf(path, sizeof path, "%s/lib%d.so", folder, i);
        if (copy("libone_tls.so", path) != 0) return 1;
        handles[i] = dlopen(path, RTLD_NOW);
        unlink(path);
        if (!handles[i]) {
            puts(dlerror());
            return 1;
        }
        address[i] = (int* (*)(void))dlsym(handles[i], "value_address");
    }
    rmdir(folder);
    sem_post(&loaded);
    sem_wait(&checked);
    printf("main: %d wrong\n", check(1));
    sem_post(&loaded);
    pthread_t young;
    pthread_create(&young, NULL, thread, "young");
    pthread_join(old, NULL);
    pthread_join(young, NULL);
    int failures = 0;
    for (int i = 0; i < kLibraries; ++i) failures += dlclose(handles[i]) != 0;
    printf("%d failures to close\n", failures);
    return 0;
}
