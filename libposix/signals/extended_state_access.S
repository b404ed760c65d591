// XSAVE and its kin on application memory. rdi: the address, aligned to 64; rsi: the components.
// Each answers 1, or 0 where the memory cannot be reached or the CPU refuses what it holds.

.macro ACCESS name instruction
.globl \name
\name:
    mov %esi, %eax
    mov %rsi, %rdx
    shr $32, %rdx
1:  \instruction (%rdi)
    mov $1, %eax
    ret
.pushsection .fixups, "a"
    .long 1b - ., access_failed - .
.popsection
.endm

.text
ACCESS xsave_to_user xsave64
ACCESS xrstor_from_user xrstor64
ACCESS fxsave_to_user fxsave64
ACCESS fxrstor_from_user fxrstor64

access_failed:
    xor %eax, %eax
    ret

.section .note.GNU-stack, "", @progbits
