// Random numbers that are the same in each run.
#include "kernel-min/lib/random.h"

uint64_t coracle::random_u64() {
    static uint64_t state = 0;
    return state += 0x9e3779b97f4a7c15;
}
