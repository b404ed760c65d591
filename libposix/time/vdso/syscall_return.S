// Where calls that a signal interrupts restart: the vDSO's ELF entry tells the kernel where it is.
.text
.globl vdso_syscall
.hidden vdso_syscall
.type vdso_syscall, @function
vdso_syscall:
    .cfi_startproc
    syscall
    ret
    .cfi_endproc
.size vdso_syscall, . - vdso_syscall

.section .note.GNU-stack, "", @progbits
