// What the dynamic linker reads from the image (elf-loader/image.h). The patcher fills the empty
// parts when the image is linked.

// Calls of the malloc family from inside the image: --wrap sends them here, and the dynamic linker
// sets the pointers to the program's own allocator, if it has one.
.macro allocator name
    .text
    .globl __wrap_\name
    .hidden __wrap_\name
    .type __wrap_\name, @function
    .balign 16
__wrap_\name:
    .cfi_startproc
    jmp *pointer_\name(%rip)
    .cfi_endproc
    .size __wrap_\name, . - __wrap_\name
    .section .rodata.str1.1, "aMS", @progbits, 1
name_\name:
    .string "\name"
    .section .data.rel.ro, "aw", @progbits
pointer_\name:
    .quad __real_\name
    .section .data.rel.ro.allocators, "aw", @progbits
    .quad name_\name, pointer_\name
.endm

    .section .data.rel.ro.allocators, "aw", @progbits
    .balign 8
allocator_pointers:
    .section .data.rel.ro, "aw", @progbits
    .balign 8

    allocator malloc
    allocator free
    allocator calloc
    allocator realloc
    allocator memalign
    allocator aligned_alloc
    allocator posix_memalign
    allocator valloc
    allocator pvalloc
    allocator malloc_usable_size

    .section .data.rel.ro.allocators, "aw", @progbits
allocator_pointers_end:

    .section .data.rel.ro, "aw", @progbits
    .globl coracle_image_tables
    .hidden coracle_image_tables
    .type coracle_image_tables, @object
    .balign 8
coracle_image_tables:
    .quad 0, 0
    .quad allocator_pointers, (allocator_pointers_end - allocator_pointers) / 16
    .quad 0, 0
    .size coracle_image_tables, . - coracle_image_tables

// Distances of thread-local variables from the thread pointer.
    .globl coracle_tls_slots
    .hidden coracle_tls_slots
    .type coracle_tls_slots, @object
    .balign 8
coracle_tls_slots:
    .space 64 * 8
    .size coracle_tls_slots, . - coracle_tls_slots

    .section .note.GNU-stack, "", @progbits
