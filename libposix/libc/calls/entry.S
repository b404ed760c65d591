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

// Room for the patcher's stubs.
    .globl coracle_syscall_stubs
    .hidden coracle_syscall_stubs
    .type coracle_syscall_stubs, @object
    .balign 16
coracle_syscall_stubs:
    .fill 8192, 1, 0xcc
    .size coracle_syscall_stubs, . - coracle_syscall_stubs

    .section .note.GNU-stack, "", @progbits
