// Entry of the libc image, and of the program after it. The stack is as execve(2) leaves it:
// argc, argv, envp, auxv (System V ABI for AMD64, 3.4.1).

    .text
    .globl _start
    .type _start, @function
_start:
    .cfi_startproc
    .cfi_undefined rip
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call loader_entry
    hlt
    .cfi_endproc
    .size _start, . - _start

// [[noreturn]] enter_program(uintptr_t* stack, Elf64_Addr entry, void (*fini)())
// The program finds the stack as the kernel built it, and in rdx what it shall register with
// atexit.
    .globl enter_program
    .hidden enter_program
    .type enter_program, @function
enter_program:
    .cfi_startproc
    .cfi_undefined rip
    movq %rdi, %rsp
    xorl %ebp, %ebp
    jmp *%rsi
    .cfi_endproc
    .size enter_program, . - enter_program

// void* __tls_get_addr(TlsIndex*): psABI, called with any alignment of the stack by code that old
// compilers made.
    .globl __tls_get_addr
    .type __tls_get_addr, @function
__tls_get_addr:
    .cfi_startproc
    movq %fs:8, %rdx
    movq _dl_tls_generation(%rip), %rax
    cmpq %rax, (%rdx)
    jne 1f
    movq (%rdi), %rax
    shlq $4, %rax
    movq (%rdx,%rax), %rax
    cmpq $-1, %rax
    je 1f
    addq 8(%rdi), %rax
    ret
1:  pushq %rbp
    .cfi_def_cfa_offset 16
    .cfi_offset rbp, -16
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    andq $-16, %rsp
    call tls_get_address_slow
    leave
    .cfi_def_cfa rsp, 8
    ret
    .cfi_endproc
    .size __tls_get_addr, . - __tls_get_addr

// TLS descriptors' resolvers keep every register but rax and the flags, so the slow path saves
// them all. The vector registers are saved by xsave where the CPU has it: a C function may use
// them, and the caller of a TLS descriptor does not expect that. The size and mask are those of
// the lazy-binding trampoline.

// rax: the TLS descriptor {resolver, DynamicTlsIndex*}. Returns the variable's offset from the
// thread pointer in rax.
    .hidden tlsdesc_save_size
    .hidden tlsdesc_has_xsave
    .hidden _dl_tls_generation
    .hidden loader_entry
    .globl tlsdesc_dynamic
    .hidden tlsdesc_dynamic
    .type tlsdesc_dynamic, @function
tlsdesc_dynamic:
    .cfi_startproc
    pushq %rdi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rdi, 0
    pushq %rsi
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rsi, 0
    movq 8(%rax), %rdi             // {module, offset, generation}
    movq %fs:8, %rsi               // the thread's vector
    movq (%rsi), %rax
    cmpq %rax, 16(%rdi)
    ja 1f
    movq (%rdi), %rax
    shlq $4, %rax
    movq (%rsi,%rax), %rax
    cmpq $-1, %rax
    je 1f
    addq 8(%rdi), %rax
2:  subq %fs:0, %rax
    popq %rsi
    .cfi_adjust_cfa_offset -8
    .cfi_restore rsi
    popq %rdi
    .cfi_adjust_cfa_offset -8
    .cfi_restore rdi
    ret
    .cfi_adjust_cfa_offset 16
    .cfi_rel_offset rdi, 8
    .cfi_rel_offset rsi, 0
1:  pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset rbp, 0
    movq %rsp, %rbp
    .cfi_def_cfa_register rbp
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    subq tlsdesc_save_size(%rip), %rsp
    andq $-64, %rsp
    movl $0xee, %eax               // SSE, AVX, MPX, AVX-512
    xorl %edx, %edx
    cmpl $0, tlsdesc_has_xsave(%rip)
    je 3f
    movq %rdx, 512(%rsp)
    movq %rdx, 520(%rsp)
    movq %rdx, 528(%rsp)
    movq %rdx, 536(%rsp)
    movq %rdx, 544(%rsp)
    movq %rdx, 552(%rsp)
    movq %rdx, 560(%rsp)
    movq %rdx, 568(%rsp)
    xsave (%rsp)
    call tls_get_address_slow
    movq %rax, %rbx
    movl $0xee, %eax
    xorl %edx, %edx
    xrstor (%rsp)
    jmp 4f
3:  fxsave (%rsp)
    call tls_get_address_slow
    movq %rax, %rbx
    fxrstor (%rsp)
4:  movq %rbx, %rax
    movq -8(%rbp), %rbx
    movq -16(%rbp), %rcx
    movq -24(%rbp), %rdx
    movq -32(%rbp), %r8
    movq -40(%rbp), %r9
    movq -48(%rbp), %r10
    movq -56(%rbp), %r11
    leave
    .cfi_def_cfa rsp, 24
    .cfi_restore rbp
    jmp 2b
    .cfi_endproc
    .size tlsdesc_dynamic, . - tlsdesc_dynamic

    .section .note.GNU-stack, "", @progbits
