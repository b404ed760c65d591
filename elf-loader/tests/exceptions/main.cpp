// An exception crosses three libraries, and comes out of one that dlopen loads; typeid and
// dynamic_cast agree across them; uncaught ones are not confused.
#include <dlfcn.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>

struct Base {
    virtual ~Base() = default;
};
struct Derived : Base {};

extern "C" void throw_through(int depth);

int main() {
    for (int depth = 0; depth < 3; ++depth) {
        try {
            throw_through(depth);
        } catch (const std::out_of_range& error) {
            std::printf("out_of_range: %s\n", error.what());
        } catch (const std::runtime_error& error) {
            std::printf("runtime_error: %s\n", error.what());
        } catch (int value) {
            std::printf("int %d\n", value);
        }
    }
    void* handle = dlopen("libthrow_loaded.so", RTLD_NOW);
    if (handle == nullptr) return std::puts(dlerror()), 1;
    auto loaded = reinterpret_cast<void (*)(int)>(dlsym(handle, "throw_loaded"));
    for (int i = 0; i < 3; ++i) {
        try {
            loaded(i);
        } catch (const std::exception& error) {
            std::printf("loaded: %s\n", error.what());
        }
    }
    std::thread([&] {
        try {
            throw_through(1);
        } catch (const std::exception& error) {
            std::printf("in a thread: %s\n", error.what());
        }
    }).join();
    dlclose(handle);
    try {
        std::string(3, 'x').at(5);
    } catch (const std::exception& error) {
        std::puts("at: thrown");
    }
    Base* base = new Derived;
    std::printf("cast %d\n", dynamic_cast<Derived*>(base) != nullptr);
    delete base;
    return 0;
}
