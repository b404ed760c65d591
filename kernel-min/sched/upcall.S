// Where the core continues in ring 3, and the way back to the application.
//
// At an upcall rsp = rdi = the TrapFrame, on the thread's kernel stack, 16-byte aligned. The way
// back is iretq at equal privilege. Cpu::pending is looked at last; an interrupt that comes after
// the look sends the kernel back to frame_exit_check (core/traps.cpp).
#include "kernel-min/core/layout.h"
#include "kernel-min/sched/registers.inc"

#define FRAME_RIP 18*8

.text
.globl exception_upcall
exception_upcall:
    call on_exception
    cmpq $0, FRAME_RIP(%rsp)
    jge leave_to_application
    POP_REGISTERS               // kernel code: a copy routine goes on
    add $24, %rsp
    iretq

.globl interrupt_upcall
interrupt_upcall:
    jmp leave_to_application

.globl syscall_upcall
syscall_upcall:
    call on_syscall
    // fall through

// rsp = the frame of the application.
.globl leave_to_application
leave_to_application:
    POP_REGISTERS
    add $24, %rsp
.globl frame_exit_check
frame_exit_check:
    cmpl $0, %gs:CPU_PENDING
    jne frame_exit_slow
.globl frame_exit_iretq
frame_exit_iretq:
    iretq
frame_exit_slow:
    sub $24, %rsp               // cr2, vector and error code are still there
    PUSH_REGISTERS
    mov %rsp, %rdi
    call on_leave
    jmp leave_to_application

// void enter_application(const TrapFrame* frame): for a thread's first entry. The frame goes to the
// top of the thread's kernel stack, as a trap would have left it: the way out may call.
.globl enter_application
enter_application:
    mov %rdi, %rsi
    mov %gs:CPU_KERNEL_STACK_TOP, %rsp
    sub $(TRAP_FRAME_SIZE + 8), %rsp
    movq $0, TRAP_FRAME_SIZE(%rsp)  // a trap's frame: syscall-table/entry.S
    lea (TRAP_FRAME_SIZE - 8)(%rsi), %rsi
    lea (TRAP_FRAME_SIZE - 8)(%rsp), %rdi
    mov $(TRAP_FRAME_SIZE / 8), %ecx
    std                         // from its end: it may overlap, lower on the same stack
    rep movsq
    cld
    jmp leave_to_application

// void call_on_stack(uint64_t stack, void (*function)())
.globl call_on_stack
call_on_stack:
    mov %rdi, %rsp
    xor %ebp, %ebp
    call *%rsi
    ud2

.bss
.balign 16
    .skip 16384
.globl kernel_boot_stack_top
kernel_boot_stack_top:

.section .note.GNU-stack, "", @progbits
