// Destructors of thread-local objects: at a thread's end, at exit, and of a library that dlclose
// may unload only afterwards.
#include <dlfcn.h>
#include <pthread.h>

#include <cstdio>
#include <thread>

struct Noisy {
    const char* name;
    explicit Noisy(const char* n) : name(n) { std::printf("%s made\n", name); }
    ~Noisy() { std::printf("%s gone\n", name); }
};

thread_local Noisy first("first");
thread_local Noisy second("second");

static pthread_key_t key;

int main() {
    pthread_key_create(&key,
                       [](void* value) { std::printf("key %s\n", static_cast<char*>(value)); });
    std::thread([] {
        std::printf("thread uses %s\n", second.name);
        std::printf("thread uses %s\n", first.name);
        pthread_setspecific(key, const_cast<char*>("value"));
    }).join();
    std::thread([] {
        void* handle = dlopen("libthread_local.so", RTLD_NOW);
        reinterpret_cast<void (*)()>(dlsym(handle, "touch"))();
        std::printf("dlclose %d\n", dlclose(handle));
        std::puts("closed");
    }).join();
    std::puts("joined");
    void* handle = dlopen("libthread_local.so", RTLD_NOW | RTLD_NOLOAD);
    std::printf("unloaded: %d\n", handle == nullptr);
    std::printf("main uses %s\n", first.name);
    return 0;
}
