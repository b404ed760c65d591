// The ways in: PVH (QEMU, Cloud Hypervisor, Xen) and the Linux 64-bit protocol (Firecracker).
// Both end in core_main in long mode, on the static page tables below.
#include "kernel-min/core/layout.h"

#define PHYS(symbol) ((symbol) - KERNEL_BASE)

// At the kernel's own addresses: the descriptor table there, and the core's selectors.
.macro LOAD_SEGMENTS
    lgdt core_gdt_register(%rip)
    mov $CORE_DATA_SELECTOR, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
.endm

// Xen's XEN_ELFNOTE_PHYS32_ENTRY: 32-bit protected mode, paging off, ebx = hvm_start_info.
.section .note.pvh, "a", @note
    .long 4, 4, 18
    .asciz "Xen"
    .long PHYS(pvh_start)

.section .core.boot, "ax"
.code32
.globl pvh_start
pvh_start:
    cli
    cld
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov %cr4, %eax
    or $0x20, %eax              // PAE
    mov %eax, %cr4
    mov $0xc0000080, %ecx       // EFER: SCE, LME, NXE
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $0x80050033, %eax       // PG AM WP NE ET MP PE
    mov %eax, %cr0
    lgdt PHYS(boot_gdt_register)
    ljmp $CORE_CODE_SELECTOR, $PHYS(pvh_long)
.code64
pvh_long:
    mov %ebx, %esi
    xor %edi, %edi              // BootProtocol::kPvh
    movabs $enter_high, %rax
    jmp *%rax

// Documentation/x86/boot.rst, "64-bit boot protocol": long mode, identity-mapped, rsi =
// boot_params. The ELF entry point is this address.
.globl linux64_start
linux64_start:
    cli
    cld
    mov $0xc0000080, %ecx
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $PHYS(boot_pml4), %eax
    mov %rax, %cr3
    mov $0x80050033, %eax
    mov %rax, %cr0
    lgdt PHYS(boot_gdt_register)
    mov $1, %edi                // BootProtocol::kLinux64
    mov $PHYS(core_cpus + CORE_CPU_SIZE), %esp  // the loader gave none that we know
    push $CORE_CODE_SELECTOR
    movabs $enter_high, %rax
    push %rax
    lretq

enter_high:
    LOAD_SEGMENTS
    lea core_cpus + CORE_CPU_SIZE(%rip), %rsp
    xor %ebp, %ebp
    call core_main              // does not return
    hlt

// Another CPU's way from real mode, copied to TRAMPOLINE (position-independent but for the jump):
// straight to long mode, on the static page tables, which map it at its own address. Ring 3 copies
// it, so it is data here.
.section .trampoline, "a"
.code16
.balign 16
.globl secondary_trampoline, secondary_trampoline_end
secondary_trampoline:
    cli
    cld
    mov %cs, %ax
    mov %ax, %ds
    lgdtl secondary_gdt_register - secondary_trampoline
    mov $0x20, %eax             // PAE
    mov %eax, %cr4
    mov $PHYS(boot_pml4), %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       // EFER: SCE, LME, NXE
    rdmsr
    or $0x901, %eax
    wrmsr
    mov $0x80050033, %eax       // PG AM WP NE ET MP PE
    mov %eax, %cr0
    ljmpl $CORE_CODE_SELECTOR, $PHYS(secondary_long)
.balign 8
secondary_gdt_register:
    .word core_gdt_end - core_gdt - 1
    .long PHYS(core_gdt)
secondary_trampoline_end:
.section .core.boot, "ax"
.code64
secondary_long:
    movabs $secondary_high, %rax
    jmp *%rax
secondary_high:
    LOAD_SEGMENTS
    mov TRAMPOLINE_PARAMETERS, %rdi      // index, Cpu*, stack
    mov TRAMPOLINE_PARAMETERS + 8, %rsi
    mov TRAMPOLINE_PARAMETERS + 16, %rdx
    cmp $MAX_CPUS, %rdi
    jae 1f
    lea 1(%rdi), %rax
    imul $CORE_CPU_SIZE, %rax, %rax
    lea core_cpus(%rip), %rsp
    add %rax, %rsp
    xor %ebp, %ebp
    call core_secondary_main    // does not return
1:  hlt
    jmp 1b

// Long mode's selectors, at their physical address while paging is not up yet.
.section .core.data, "aw"
.balign 16
.globl core_gdt
core_gdt:
    .quad 0, 0
    .quad 0x00af9b000000ffff    // 0x10 ring-0 code
    .quad 0x00cf93000000ffff    // 0x18 ring-0 data
    .quad 0x00cffb000000ffff    // 0x20 ring-3 32-bit code: there for Linux's selector numbers
    .quad 0x00cff3000000ffff    // 0x28 ring-3 data
    .quad 0x00affb000000ffff    // 0x30 ring-3 code
    .quad 0
    .globl core_gdt_tss
core_gdt_tss:
    .fill 2 * MAX_CPUS, 8, 0    // 0x40: each CPU's task state segment
core_gdt_end:
boot_gdt_register:
    .word core_gdt_end - core_gdt - 1
    .long PHYS(core_gdt)
    .long 0
core_gdt_register:
    .word core_gdt_end - core_gdt - 1
    .quad core_gdt

// The first GiB, at 0 and at KERNEL_BASE. core_main replaces these.
.balign 4096
boot_pml4:
    .quad PHYS(boot_pdpt) + 3
    .fill 510, 8, 0
    .quad PHYS(boot_pdpt) + 3
boot_pdpt:
    .quad PHYS(boot_pd) + 3
    .fill 509, 8, 0
    .quad PHYS(boot_pd) + 3
    .quad 0
boot_pd:
    .set address, 0
    .rept 512
    .quad address + 0x83
    .set address, address + 0x200000
    .endr

.section .note.GNU-stack, "", @progbits
