#include <string.h>

// lea 1(%rdi), %eax; ret
int run_on_stack(int value) {
    unsigned char code[16] = {0x8d, 0x47, 0x01, 0xc3};
    __asm__ volatile("" ::"r"(code) : "memory");
    int (*function)(int) = (int (*)(int))(void*)code;
    return function(value);
}
