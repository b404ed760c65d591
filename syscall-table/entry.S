// The entries by which programs call the kernel as a function (kernel-min/abi/process_page.h).
// Each switches to the thread's kernel stack, for an application's stack may be tiny, calls the
// handler, looks at Cpu::pending and returns. Frame on the kernel stack, from its top down:
//     application rsp (0 in a trap's frame), rdi, rsi, rdx, r10, r8, r9, number
// C calls with at most four arguments leave r8 and r9 out. The number is the seventh argument of
// the thunk: tracing reads it. A thunk returns rax = value, rdx = 0 or rax = 0, rdx = errno.
#include "kernel-min/core/layout.h"

.macro ENTER_KERNEL fourth_argument
    mov %rsp, %r11
    mov %gs:CPU_KERNEL_STACK_TOP, %rsp
    push %r11
    push %rdi
    push %rsi
    push %rdx
    push \fourth_argument
.endm

.macro CALL_THUNK
    push %rax
    call *call_table(,%rax,8)
.endm

.text
// C ABI: fourth argument in rcx, caller-saved registers lost. rax = number.
.balign 64
long_c_call:
    ENTER_KERNEL %rcx
    push %r8
    push %r9
    CALL_THUNK
.globl long_c_call_return
long_c_call_return:
    jmp call_exit

.balign 64
short_c_call:
    ENTER_KERNEL %rcx
    CALL_THUNK
.globl short_c_call_return
short_c_call_return:
call_exit:
    sub %rdx, %rax
// An interrupt between here and call_exit_switch comes back to the check (core/traps.cpp).
.globl call_exit_check
call_exit_check:
    cmpl $0, %gs:CPU_PENDING
    jne call_exit_slow
    mov %gs:CPU_KERNEL_STACK_TOP, %r11
.globl call_exit_switch
call_exit_switch:
    mov -8(%r11), %rsp
.globl call_exit_return
call_exit_return:
    ret

// The convention of the syscall instruction.
.balign 64
.globl syscall_call
syscall_call:
    mov %eax, %eax
    cmp $SYSCALL_COUNT, %eax
    jae 1f
    mov %r10, %rcx
    ENTER_KERNEL %r10
    push %r8
    push %r9
    CALL_THUNK
.globl syscall_call_return
syscall_call_return:
    sub %rdx, %rax
    mov 1*8(%rsp), %r9
    mov 2*8(%rsp), %r8
    mov 3*8(%rsp), %r10
    mov 4*8(%rsp), %rdx
    mov 5*8(%rsp), %rsi
    mov 6*8(%rsp), %rdi
    jmp call_exit_check
1:  mov $-38, %rax              // ENOSYS
    ret

// Work waits: give the call the frame that a trap at the vDSO's `syscall; ret` would have, so
// that signals and restarts see one kind of call. rsp points at the program's return address.
call_exit_slow:
    mov (%rsp), %rcx            // number
    mov %gs:CPU_KERNEL_STACK_TOP, %r11
    push $0                     // a trap's frame from here on; and 16-byte alignment
    push $USER_DATA_SELECTOR
    push -1*8(%r11)             // rsp
    pushfq
    push $USER_CODE_SELECTOR
    push $0                     // rip: on_call_leave sets it
    push %rcx
    push $TRAP_SYSCALL
    push $0
    push -2*8(%r11)             // rdi
    push -3*8(%r11)             // rsi
    push -4*8(%r11)             // rdx
    push $0                     // rcx
    push %rax
    push -6*8(%r11)             // r8, or what is of no account
    push -7*8(%r11)             // r9
    push -5*8(%r11)             // r10
    push $0                     // r11
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, %rdi
    call on_call_leave
    jmp leave_to_application

// ret on a stack that the program has unmapped: the program's fault.
.section .fixups, "a"
    .long call_exit_return - ., call_exit_fault - .
.text
call_exit_fault:
    mov %gs:CPU_KERNEL_STACK_TOP, %rsp
    call on_bad_stack
    ud2

// With several CPUs, every thunk in force: the real one, under the kernel lock, held as the call
// needs it. The seventh argument, the number, lies behind the return address.
.balign 16
.globl locked_call
locked_call:
    push %rdi
    push %rsi
    push %rdx
    push %rcx
    push %r8
    push %r9
    sub $8, %rsp
    mov 64(%rsp), %rsi
    call lock_for_call
    add $8, %rsp
    pop %r9
    pop %r8
    pop %rcx
    pop %rdx
    pop %rsi
    pop %rdi
    mov 8(%rsp), %rax
    push %rax
    mov thunks_in_force(%rip), %r11
    call *(%r11,%rax,8)
    mov %rax, (%rsp)
    push %rdx
    sub $8, %rsp
    call unlock_kernel
    add $8, %rsp
    pop %rdx
    pop %rax
    ret

// One short entry a number.
.macro CALL_ENTRY number, arguments
    .balign 16
call_stub_\number:
    mov $\number, %eax
.if \arguments > 4
    jmp long_c_call
.else
    jmp short_c_call
.endif
.endm
.balign 16
#include "syscall-table/call_entries.inc"

.section .rodata
.balign 8
.globl call_entry_table
call_entry_table:
.altmacro
.macro CALL_STUB_ADDRESS number
    .quad call_stub_\number
.endm
.set number, 0
.rept CALL_COUNT
    CALL_STUB_ADDRESS %number
    .set number, number + 1
.endr
.noaltmacro

.section .note.GNU-stack, "", @progbits
