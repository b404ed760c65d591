// A failed assertion of the code under test ends the test program.
#include <cstdio>
#include <cstdlib>

#include "kernel-min/lib/panic.h"

namespace coracle {

void panic(const char* message) {
    fprintf(stderr, "panic: %s\n", message);
    abort();
}

void refuse_machine(const char* message) { panic(message); }

void panic_assertion(const char* expression, const char* file, int line) {
    fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
    abort();
}

}  // namespace coracle
