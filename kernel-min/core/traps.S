// Ring 0's entries: exceptions, interrupts, the gate, the syscall instruction. Each leaves by
// iretq: sysretq does not work on a software KVM.
#include "kernel-min/core/layout.h"
#include "kernel-min/sched/registers.inc"

.section .core.text, "ax"

// 32 exception stubs of 16 bytes: an error code where the CPU pushes none, and the vector.
.balign 16
.globl core_exception_stubs
core_exception_stubs:
.set vector, 0
.rept 32
    .balign 16
    .if vector != 8 && vector != 10 && vector != 11 && vector != 12 && vector != 13 && vector != 14 && vector != 17 && vector != 21 && vector != 29 && vector != 30
    push $0
    .endif
    push $vector
    jmp exception
    .set vector, vector + 1
.endr

exception:
    push $0                     // TrapFrame::cr2, below
    PUSH_REGISTERS
    cmpq $14, 16*8(%rsp)
    jne 1f
    mov %cr2, %rax
    mov %rax, 15*8(%rsp)
1:  mov %rsp, %rdi
    cld
    call core_exception         // redirects the frame to the ring-3 upcall, or panics
    POP_REGISTERS
    add $24, %rsp
    iretq

// int3: the gate, if it came from the gate's own instruction; else a program's breakpoint.
// A gate is a function call for ring 3: caller-saved registers are free.
.balign 16
.globl core_breakpoint
core_breakpoint:
    cmpq $gate_return, (%rsp)
    je 1f
    push $0
    push $3
    jmp exception
1:  cld
    mov %rax, %rcx              // (rdi, rsi, rdx) arguments, rcx operation
    call core_gate
    iretq

// Interrupts. Kernel code interrupted: note it, go back. Application: an upcall.
.macro INTERRUPT name handler
.balign 16
.globl \name
\name:
    push $0
    push $TRAP_INTERRUPT
    push $0
    PUSH_REGISTERS
    mov %rsp, %rdi
    cld
    call \handler
    POP_REGISTERS
    add $24, %rsp
    iretq
.endm

INTERRUPT core_timer_interrupt, core_on_timer
INTERRUPT core_wake_interrupt, core_on_wake
INTERRUPT core_flush_interrupt, core_on_flush

.balign 16
.globl core_spurious_interrupt
core_spurious_interrupt:
    iretq

.balign 16
.globl core_device_stubs
core_device_stubs:
.set vector, FIRST_DEVICE_VECTOR
.rept LAST_DEVICE_VECTOR - FIRST_DEVICE_VECTOR + 1
    .balign 16
    push $(vector - FIRST_DEVICE_VECTOR)
    push $TRAP_INTERRUPT
    jmp device_interrupt
    .set vector, vector + 1
.endr
device_interrupt:
    push $0
    PUSH_REGISTERS
    mov %rsp, %rdi
    cld
    call core_on_device
    POP_REGISTERS
    add $24, %rsp
    iretq

// The `syscall` instruction: rcx = rip, r11 = rflags, interrupts off (FMASK). The frame goes
// straight to the thread's kernel stack; a bad one would be our own bug and faults into the panic.
.balign 16
.globl core_syscall
core_syscall:
    swapgs                      // GS: struct CoreCpu (0: Cpu*, 8: stack top, 16: scratch)
    mov %rsp, %gs:16
    mov %gs:0, %rsp
    mov CPU_KERNEL_STACK_TOP(%rsp), %rsp
    push $0                     // this slot tells a trap's frame from a call's (entry.S)
    push $USER_DATA_SELECTOR
    push %gs:16
    push %r11
    push $USER_CODE_SELECTOR
    push %rcx
    push %rax
    push $TRAP_SYSCALL
    push $0
    PUSH_REGISTERS
    mov %rsp, %rdi
    mov %gs:8, %rsp
    mov %gs:0, %rsi
    swapgs
    wrgsbase %rsi               // whatever the application did to it
    push $USER_DATA_SELECTOR
    push %rdi
    push $0x202
    push $USER_CODE_SELECTOR
    push $syscall_upcall
    iretq

// Drops to ring 3: rdi = argument, rsi = function, rdx = stack.
.globl core_enter_ring3
core_enter_ring3:
    push $USER_DATA_SELECTOR
    push %rdx
    push $0x202
    push $USER_CODE_SELECTOR
    push %rsi
    xor %ebp, %ebp
    iretq

.section .note.GNU-stack, "", @progbits
