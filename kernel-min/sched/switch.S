// From one thread's kernel stack to another's.

.text
// void switch_stacks(uint64_t* save, uint64_t load): returns when somebody switches back.
.balign 16
.globl switch_stacks
switch_stacks:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, (%rdi)
    mov %rsi, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

// Where a new thread begins: rsp = its TrapFrame.
.balign 16
.globl first_run
first_run:
    call finish_first_switch
    jmp leave_to_application

// Where a kernel thread begins: its function and the argument are on its stack.
.balign 16
.globl first_kernel_run
first_kernel_run:
    call finish_switch
    pop %rax
    pop %rdi
    call *%rax
    ud2

.section .note.GNU-stack, "", @progbits
