// The built libc image, page-aligned so that its pages can be mapped in place.
.section .libc_image, "a"
.balign 4096
.globl libc_image_start
libc_image_start:
    .incbin LIBC_IMAGE
.globl libc_image_end
libc_image_end:

.section .note.GNU-stack, "", @progbits
