    .text
    .globl from_text
    .type from_text, @function
from_text:
    movabsq $value, %rax
    movl (%rax), %eax
    ret
    .data
    .globl value
value: .long 77
    .section .note.GNU-stack, "", @progbits
