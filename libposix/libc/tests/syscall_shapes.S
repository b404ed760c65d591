// Functions with system calls of each shape, for syscall_sites_test.cpp.
    .text
.macro function name
    .globl \name
    .type \name, @function
    .balign 16
\name:
.endm
.macro end name
    .size \name, . - \name
.endm

function plain                      // number, instruction, nothing kept
    mov $1, %eax
    syscall
    cmp $-4096, %rax
    ja 1f
    ret
1:  neg %eax
    mov $-1, %eax
    ret
end plain

function fourth                     // the fourth argument moves to rcx
    mov %rcx, %r10
    mov $9, %eax
    syscall
    ret
end fourth

function zero                       // too short before the instruction
    cmpb $0, coracle_syscall_entry(%rip)
    je 1f
    xor %eax, %eax
    syscall
    cmp $-4096, %rax
    ja 1f
    ret
1:  mov $-1, %rax
    ret
end zero

function uses_argument              // rdi is needed behind the call
    mov $3, %eax
    syscall
    mov %rdi, %rax
    ret
end uses_argument

function uses_argument_on_one_path
    mov $3, %eax
    syscall
    test %rax, %rax
    js 1f
    ret
1:  lea 1(%rsi), %rax
    ret
end uses_argument_on_one_path

function uses_two_arguments
    mov $3, %eax
    syscall
    lea (%rdi,%r9), %rax
    ret
end uses_two_arguments

function only_calls                 // with C's convention for its arguments
    mov $40, %eax
    syscall
    ret
end only_calls

function keeps_for_callee           // as glibc's cancellation points do
    mov %eax, %r8d
    mov $1, %eax
    syscall
    mov %r8d, %edi
    push %rax
    call takes_one
    pop %rax
    ret
end keeps_for_callee

function keeps_vector
    mov $1, %eax
    syscall
    movups %xmm1, (%rax)
    ret
end keeps_vector

function calls_after                // the callee may take what is in rdi
    mov $3, %eax
    syscall
    jmp caller
end calls_after

function called_from_its_object     // -fipa-ra: the caller may count on rdi
    mov $5, %eax
    syscall
    ret
end called_from_its_object

function caller
    push %rbx
    call called_from_its_object
    pop %rbx
    mov %rdi, %rax
    ret
end caller

function spawns                     // needs the whole register state
    mov $57, %eax
    syscall
    ret
end spawns

function moves_stack_operand
    sub $24, %rsp
    mov $202, %eax
    mov 8(%rsp), %edx
    syscall
    add $24, %rsp
    mov %r8, %rax
    ret
end moves_stack_operand

function red_zone
    mov %rdi, -8(%rsp)
    mov $4, %eax
    syscall
    mov -8(%rsp), %rdi
    ret
end red_zone

function copies_stack_pointer
    mov %edi, %eax
    mov %rsp, %rsi
    syscall
    ret
end copies_stack_pointer

function stays
    mov $15, %eax
    syscall
end stays

    .globl takes_one
    .type takes_one, @function
takes_one:
    ret
    .size takes_one, . - takes_one

    .globl __stack_chk_fail
    .type __stack_chk_fail, @function
__stack_chk_fail:
    ud2
    .size __stack_chk_fail, . - __stack_chk_fail

function jumped_to                  // the stub takes what is behind
    mov $1, %eax
1:  syscall
    cmp $-4, %eax
    je 1b
    ret
end jumped_to

function jumped_into                // nothing can be moved
    mov $1, %eax
1:  syscall
2:  cmp $-4, %eax
    je 1b
    cmp $-5, %eax
    je 2b
    ret
end jumped_into

    .section .note.GNU-stack, "", @progbits
