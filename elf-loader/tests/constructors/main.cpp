// The order of constructors and destructors over libraries, the program, dlopen and dlclose.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>

struct Global {
    Global() { std::puts("main: constructor of a global"); }
    ~Global() { std::puts("main: destructor of a global"); }
} global;

static void preinit(int argc, char**, char** envp) {
    std::printf("main: preinit %d %d\n", argc, envp != nullptr);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char**,
                                                                              char**) = preinit;
__attribute__((constructor(200))) static void late(int argc, char** argv, char**) {
    std::printf("main: constructor 200, %d arguments, %s\n", argc, argv[0] ? "named" : "nameless");
}
__attribute__((constructor(150))) static void early() {
    std::puts("main: constructor 150");
}
__attribute__((destructor)) static void last() {
    std::puts("main: destructor");
}

extern "C" void use_b();

int main() {
    std::atexit([] { std::puts("main: atexit"); });
    use_b();
    void* handle = dlopen("libctor_d.so", RTLD_NOW);
    std::puts("main: dlopen done");
    if (handle != nullptr) dlclose(handle);
    std::puts("main: dlclose done");
    dlopen("libctor_d.so", RTLD_NOW);
    std::puts("main: returns");
    return 0;
}
