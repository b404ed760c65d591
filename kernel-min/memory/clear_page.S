// void coracle::clear_page(void* page): 256 stores of 16 bytes. The vector registers hold the
// application's state, so the one that is used is kept on the stack.
.text
.balign 32
.globl _ZN7coracle10clear_pageEPv
_ZN7coracle10clear_pageEPv:
    sub $24, %rsp
    movdqu %xmm0, (%rsp)
    pxor %xmm0, %xmm0
    lea 4096(%rdi), %rax
1:  movaps %xmm0, (%rdi)
    movaps %xmm0, 16(%rdi)
    movaps %xmm0, 32(%rdi)
    movaps %xmm0, 48(%rdi)
    movaps %xmm0, 64(%rdi)
    movaps %xmm0, 80(%rdi)
    movaps %xmm0, 96(%rdi)
    movaps %xmm0, 112(%rdi)
    add $128, %rdi
    cmp %rax, %rdi
    jne 1b
    movdqu (%rsp), %xmm0
    add $24, %rsp
    ret

.section .note.GNU-stack, "", @progbits
