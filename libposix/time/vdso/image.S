// The vDSO's file, in the kernel image as processes map it.
.section .rodata.vdso, "a"
.balign 4096
.globl vdso_image
vdso_image:
    .incbin VDSO_FILE
    .balign 4096

.section .note.GNU-stack, "", @progbits
