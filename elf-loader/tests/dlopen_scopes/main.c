// What RTLD_LOCAL hides, RTLD_GLOBAL shows, RTLD_DEEPBIND prefers, and what dlopen refuses.
#include <dlfcn.h>
#include <stdio.h>

const char* who(void) {
    return "main";
}

static void ask(void* handle, const char* title) {
    const char* (*call)(void) = (const char* (*)(void))dlsym(handle, "call_who");
    printf("%s: %s\n", title, call ? call() : dlerror());
}

int main(void) {
    void* local = dlopen("libscope_a.so", RTLD_NOW | RTLD_LOCAL);
    ask(local, "local");
    printf("default sees it: %d\n", dlsym(RTLD_DEFAULT, "call_who") != NULL);
    void* again = dlopen("libscope_a.so", RTLD_NOW | RTLD_GLOBAL | RTLD_NOLOAD);
    printf("same: %d, default sees it: %d\n", again == local,
           dlsym(RTLD_DEFAULT, "call_who") != NULL);
    void* deep = dlopen("libscope_b.so", RTLD_NOW | RTLD_DEEPBIND);
    ask(deep, "deepbind");
    printf("not loaded: %d\n", dlopen("libscope_c.so", RTLD_LAZY | RTLD_NOLOAD) == NULL);
    printf("missing: %s\n", (dlopen("libnone.so", RTLD_LAZY), dlerror()));
    printf("mode: %s\n", (dlopen("libscope_a.so", 0), dlerror()));
    printf("symbol: %s\n", (dlsym(RTLD_DEFAULT, "no_such_symbol"), dlerror()));
    printf("no error: %d\n", dlerror() == NULL);
    printf("libm: %d\n", dlopen("libm.so.6", RTLD_LAZY | RTLD_NOLOAD) != NULL);
    void* libc = dlopen("libc.so.6", RTLD_LAZY);
    printf("libc: %d %d\n", dlsym(libc, "strlen") != NULL,
           dlvsym(libc, "memcpy", "GLIBC_2.2.5") && dlvsym(libc, "memcpy", "GLIBC_2.14"));
    printf("version: %d\n", dlvsym(libc, "memcpy", "GLIBC_9.9") == NULL);
    void* self = dlopen(NULL, RTLD_LAZY);
    printf("self: %d\n", dlsym(self, "who") == (void*)who);
    printf("close: %d %d %d\n", dlclose(again), dlclose(local), dlclose(deep));
    printf("still global and loaded: %d\n", dlsym(RTLD_DEFAULT, "call_who") != NULL);
    return 0;
}
