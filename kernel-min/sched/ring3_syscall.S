// The `syscall` instruction on hypervisors that run ring 3 natively and enter LSTAR without a
// change of the privilege level, as the software KVM of some machines does.
#include "kernel-min/core/layout.h"
#include "kernel-min/sched/registers.inc"

.text
// uint64_t probe_syscall_level(): with LSTAR at syscall_level_probe, the level that `syscall`
// leads to.
.globl probe_syscall_level
probe_syscall_level:
    syscall
    ret
.globl syscall_level_probe
syscall_level_probe:
    mov %cs, %eax
    and $3, %eax
    mov %rsp, %rdx
    push $USER_DATA_SELECTOR
    push %rdx
    push %r11
    push $USER_CODE_SELECTOR
    push %rcx
    iretq

// As core_syscall (core/traps.S), in ring 3. No register is free to hold the application's stack
// pointer: it changes places with the kernel's, whose slot in Cpu is then set again. Nothing looks
// at that slot in between, for interrupts of kernel code are only noted.
.balign 16
.globl ring3_syscall
ring3_syscall:
    xchg %rsp, %gs:CPU_KERNEL_STACK_TOP
    push $0                     // this slot tells a trap's frame from a call's (entry.S)
    push $USER_DATA_SELECTOR
    push %gs:CPU_KERNEL_STACK_TOP
    push %r11
    push $USER_CODE_SELECTOR
    push %rcx
    push %rax
    push $TRAP_SYSCALL
    push $0
    PUSH_REGISTERS
    lea (TRAP_FRAME_SIZE + 8)(%rsp), %rax
    mov %rax, %gs:CPU_KERNEL_STACK_TOP
    mov %rsp, %rdi
    cld
    jmp syscall_upcall

.section .note.GNU-stack, "", @progbits
