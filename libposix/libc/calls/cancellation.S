// What glibc's cancellation points do around a call that may block: for its length cancellation
// acts at once. The usual case, in which nobody has cancelled the thread and it has not changed how
// cancellation works, is one exchange of the thread's word; glibc's own functions do the others.

#define CANCELTYPE 2  // of struct pthread's cancelhandling: at once

    .macro exchange from, to
    mov _thread_db_pthread_cancelhandling+8(%rip), %ecx  // the word's distance (nptl_db)
    mov $\from, %eax
    mov $\to, %edx
    lock cmpxchg %edx, %fs:(%rcx)
    .endm

    .text
// int __pthread_enable_asynccancel(): what the word was, for the other function.
    .globl __pthread_enable_asynccancel
    .hidden __pthread_enable_asynccancel
    .type __pthread_enable_asynccancel, @function
    .balign 16
__pthread_enable_asynccancel:
    .cfi_startproc
    exchange 0, CANCELTYPE
    jne glibc_enable_asynccancel
    ret
    .cfi_endproc
    .size __pthread_enable_asynccancel, . - __pthread_enable_asynccancel

// void __pthread_disable_asynccancel(int old)
    .globl __pthread_disable_asynccancel
    .hidden __pthread_disable_asynccancel
    .type __pthread_disable_asynccancel, @function
    .balign 16
__pthread_disable_asynccancel:
    .cfi_startproc
    test $CANCELTYPE, %dil
    jne 1f
    exchange CANCELTYPE, 0
    jne glibc_disable_asynccancel
1:  ret
    .cfi_endproc
    .size __pthread_disable_asynccancel, . - __pthread_disable_asynccancel

    .section .note.GNU-stack, "", @progbits
