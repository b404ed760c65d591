// Stands for the kernel's entry: makes the call that it is asked for, and counts.
.text
.globl test_entry
test_entry:
    incl test_entry_calls(%rip)
    syscall
    ret

// long run_site(void (*code)(void), Registers*): runs code, which ends with ret, with the given
// registers, and stores those it leaves.
//   0 rax, 8 rdi, 16 rsi, 24 rdx, 32 r10, 40 r8, 48 r9, 56 rbx, 64 rbp, 72 r12, 80 r13, 88 r14,
//   96 r15, 104 word in the red zone
.globl run_site
run_site:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    push %rsi
    mov %rdi, %r11
    mov %rsi, %rcx
    mov 0(%rcx), %rax
    mov 8(%rcx), %rdi
    mov 16(%rcx), %rsi
    mov 24(%rcx), %rdx
    mov 32(%rcx), %r10
    mov 40(%rcx), %r8
    mov 48(%rcx), %r9
    mov 56(%rcx), %rbx
    mov 64(%rcx), %rbp
    mov 72(%rcx), %r12
    mov 80(%rcx), %r13
    mov 88(%rcx), %r14
    mov 96(%rcx), %r15
    mov 104(%rcx), %rcx
    mov %rcx, -16(%rsp)         // eight bytes below the return address: the code's red zone
    call *%r11
    mov (%rsp), %rcx
    mov %rax, 0(%rcx)
    mov %rdi, 8(%rcx)
    mov %rsi, 16(%rcx)
    mov %rdx, 24(%rcx)
    mov %r10, 32(%rcx)
    mov %r8, 40(%rcx)
    mov %r9, 48(%rcx)
    mov %rbx, 56(%rcx)
    mov %rbp, 64(%rcx)
    mov %r12, 72(%rcx)
    mov %r13, 80(%rcx)
    mov %r14, 88(%rcx)
    mov %r15, 96(%rcx)
    mov -16(%rsp), %rdi
    mov %rdi, 104(%rcx)
    pop %rsi
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

.data
.globl test_entry_calls
test_entry_calls: .long 0

.section .note.GNU-stack, "", @progbits
