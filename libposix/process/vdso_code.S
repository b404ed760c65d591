// The page behind "[vdso]": where calls that a signal interrupted restart.
.section .rodata.vdso, "a"
.balign 4096
.globl vdso_code
vdso_code:
    syscall
    ret
    .balign 4096, 0xcc

.section .note.GNU-stack, "", @progbits
