// A boot loader for tests: itself booted by PVH, it starts the kernel inside it by Linux's 64-bit
// protocol, as Firecracker does. Linked at 64 MiB, out of the kernel's way.
.section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long start

.section .text
.code32
.globl start
start:
    cli
    cld
    mov $stack_top, %esp
    mov $pml4, %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x100, %eax
    wrmsr
    mov $0x80000011, %eax
    mov %eax, %cr0
    lgdt gdt_register
    ljmp $0x10, $long_mode
.code64
long_mode:
    mov $0x18, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    mov %ebx, %edi
    call load_kernel            // returns boot_params; the entry point in rdx
    mov %rax, %rsi
    jmp *%rdx

.section .data
.balign 16
gdt: .quad 0, 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_register:
    .word 31
    .long gdt
.balign 4096
pml4: .quad pdpt + 3
    .fill 511, 8, 0
pdpt: .quad pd + 3, pd + 0x1003, pd + 0x2003, pd + 0x3003
    .fill 508, 8, 0
pd:
    .set address, 0
    .rept 2048
    .quad address + 0x83
    .set address, address + 0x200000
    .endr

.section .rodata
.balign 4096
.globl kernel_file
kernel_file:
    .incbin KERNEL_FILE

.section .bss
.balign 16
    .skip 16384
stack_top:

.section .note.GNU-stack, "", @progbits
