// The smallest program: says how many TSC ticks after reset it reached main().
#include <stdio.h>
#include <unistd.h>
#include <x86intrin.h>

#include "mark.h"

int main(void) {
    MARK(0001);
    unsigned long long ticks = __rdtsc();
    char line[64];
    int length = snprintf(line, sizeof(line), "HELLO-FROM-MAIN tsc %llu\n", ticks);
    ssize_t written = write(STDOUT_FILENO, line, length);
    MARK(0002);
    return written == length ? 0 : 1;
}
