// What the language and its headers ask of a runtime library, and a kernel has no use for.
#include <new>

#include "kernel-min/lib/panic.h"

const std::nothrow_t std::nothrow{};

namespace std {
// Behind checks of <string_view> and <span>: a failed one is our bug.
[[noreturn]] void __throw_out_of_range_fmt(const char* format, ...) { coracle::panic(format); }
}  // namespace std

extern "C" {
void __cxa_pure_virtual() { coracle::panic("pure virtual function called"); }
// The kernel never returns from main: static objects are not destroyed.
int atexit(void (*)()) { return 0; }
}
