// A program as linkers before glibc 2.34 made it: it hands its own init function to
// __libc_start_main@GLIBC_2.2.5.
#include <stdio.h>
#include <stdlib.h>

static int ran;
void legacy_init(int argc, char** argv, char** envp) {
    ran += argc + (argv && envp);
}
int main(int argc, char** argv) {
    (void)argv;
    printf("%d %d\n", argc, ran);
    exit(4);
}
__asm__(
    ".symver __libc_start_main, __libc_start_main@GLIBC_2.2.5\n"
    ".globl _start\n"
    "_start: xor %ebp, %ebp\n"
    "mov %rdx, %r9\n"
    "pop %rsi\n"
    "mov %rsp, %rdx\n"
    "and $-16, %rsp\n"
    "push %rax\n"
    "push %rsp\n"
    "xor %r8d, %r8d\n"
    "lea legacy_init(%rip), %rcx\n"
    "lea main(%rip), %rdi\n"
    "call *__libc_start_main@GOTPCREL(%rip)\n"
    "hlt\n");
