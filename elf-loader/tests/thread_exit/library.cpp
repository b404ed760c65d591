#include <cstdio>

struct Noisy {
    Noisy() { std::puts("library's object made"); }
    ~Noisy() { std::puts("library's object gone"); }
    int used = 0;
};
static thread_local Noisy noisy;
extern "C" void touch() {
    ++noisy.used;
}
__attribute__((destructor)) static void end() {
    std::puts("library unloaded");
}
