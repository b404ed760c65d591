// How the image's code enters the kernel in place of the `syscall` instruction.

// The entry, with the instruction's convention (ProcessPage::syscall_entry). On a Linux host, and
// until the process page is known, the instruction itself.
    .section .data.rel.ro, "aw", @progbits
    .globl coracle_syscall_entry
    .hidden coracle_syscall_entry
    .type coracle_syscall_entry, @object
    .balign 8
coracle_syscall_entry:
    .quad host_syscall
    .size coracle_syscall_entry, . - coracle_syscall_entry

    .text
    .type host_syscall, @function
    .globl host_syscall
    .hidden host_syscall
    .balign 16
host_syscall:
    .cfi_startproc
    syscall
    ret
    .cfi_endproc
    .size host_syscall, . - host_syscall

// Room for the patcher's stubs. Called ones have only their return address on the stack whenever
// somebody looks at it.
    .globl coracle_called_stubs
    .hidden coracle_called_stubs
    .type coracle_called_stubs, @object
    .balign 16
coracle_called_stubs:
    .cfi_startproc
    .fill 10240, 1, 0xcc
    .cfi_endproc
    .size coracle_called_stubs, . - coracle_called_stubs

// The same of stubs that have also pushed registers.
.macro saving_stubs name, words, size
    .globl \name
    .hidden \name
    .type \name, @object
    .balign 16
\name:
    .cfi_startproc
    .cfi_adjust_cfa_offset 8 * \words
    .fill \size, 1, 0xcc
    .cfi_endproc
    .size \name, . - \name
.endm
    saving_stubs coracle_saving_stubs, 1, 2048
    saving_stubs coracle_saving_more_stubs, 3, 1024

    .globl coracle_jumped_stubs
    .hidden coracle_jumped_stubs
    .type coracle_jumped_stubs, @object
coracle_jumped_stubs:
    .fill 512, 1, 0xcc
    .size coracle_jumped_stubs, . - coracle_jumped_stubs

// The C functions of system calls, and their table: {const uint16_t* numbers; uint64_t count}.
    .section .data.rel.ro, "aw", @progbits
    .globl coracle_call_slots
    .hidden coracle_call_slots
    .type coracle_call_slots, @object
    .balign 8
coracle_call_slots:
    .space 8 * 384
    .size coracle_call_slots, . - coracle_call_slots
    .globl coracle_call_table
    .hidden coracle_call_table
    .type coracle_call_table, @object
coracle_call_table:
    .quad 0, 0
    .size coracle_call_table, . - coracle_call_table

    .section .note.GNU-stack, "", @progbits
