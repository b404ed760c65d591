// Built as libctor_a, b (needs a), c (needs a and b) and d (needs c), with their NAME.
#include <cstdio>
#include <cstdlib>

struct Global {
    Global() { std::puts(NAME ": constructor of a global"); }
    ~Global() { std::puts(NAME ": destructor of a global"); }
} static global;

__attribute__((constructor)) static void begin(int argc, char**, char** envp) {
    std::printf(NAME ": constructor %d %d\n", argc, envp[0] != nullptr);
    std::atexit([] { std::puts(NAME ": atexit"); });
}
__attribute__((destructor)) static void end() {
    std::puts(NAME ": destructor");
}

extern "C" void USE() {
    std::puts(NAME ": used");
}
