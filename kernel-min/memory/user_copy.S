// The loops that touch application memory. Each returns in rax how many bytes it could not reach.
// Eight bytes at a time: an emulated `rep movsb` counts every byte.

.macro FIXUP instruction, continuation
    .pushsection .fixups, "a"
    .long \instruction - ., \continuation - .
    .popsection
.endm

.text
// size_t copy_user_raw(void* to, const void* from, size_t size)
.balign 32
.globl copy_user_raw
copy_user_raw:
    cmp $1, %rdx                // what programs do that read byte by byte
    je .Lbyte_load
    cmp $64, %rdx
    jae 4f
1:  cmp $8, %rdx
    jb 2f
.Lword_load:
    mov (%rsi), %rax
.Lword_store:
    mov %rax, (%rdi)
    add $8, %rsi
    add $8, %rdi
    sub $8, %rdx
    jmp 1b
2:  test %rdx, %rdx
    jz 3f
.Lbyte_load:
    movzbl (%rsi), %eax
.Lbyte_store:
    mov %al, (%rdi)
    inc %rsi
    inc %rdi
    dec %rdx
    jmp 2b
3:  xor %eax, %eax
    ret
4:  mov %rdx, %rcx              // whole words at once; rcx counts what is left of them
    shr $3, %rcx
    and $7, %edx
.Lmany:
    rep movsq
    jmp 2b
// A fault in the word loop may have bytes left that can be reached: go on byte by byte.
.Lmany_fault:
    lea (%rdx,%rcx,8), %rdx
    jmp .Lword_fault
.Lword_fault:
    jmp 2b
.Lbyte_fault:
    mov %rdx, %rax
    ret
    FIXUP .Lword_load, .Lword_fault
    FIXUP .Lword_store, .Lword_fault
    FIXUP .Lmany, .Lmany_fault
    FIXUP .Lbyte_load, .Lbyte_fault
    FIXUP .Lbyte_store, .Lbyte_fault

// size_t clear_user_raw(void* to, size_t size)
.balign 32
.globl clear_user_raw
clear_user_raw:
    cmp $1, %rsi
    je 3f
    mov %rsi, %rdx
    mov %rsi, %rcx
    shr $3, %rcx
    and $7, %edx
    xor %eax, %eax
.Lclear_many:
    rep stosq
1:  test %rdx, %rdx
    jz 2f
.Lclear_byte:
    movb $0, (%rdi)
    inc %rdi
    dec %rdx
    jmp 1b
2:  xor %eax, %eax
    ret
3:  xor %eax, %eax
.Lclear_one:
    movb $0, (%rdi)
    ret
.Lclear_one_fault:
    mov %rsi, %rax
    ret
.Lclear_many_fault:
    lea (%rdx,%rcx,8), %rdx
    jmp 1b
.Lclear_byte_fault:
    mov %rdx, %rax
    ret
    FIXUP .Lclear_many, .Lclear_many_fault
    FIXUP .Lclear_byte, .Lclear_byte_fault
    FIXUP .Lclear_one, .Lclear_one_fault

// long copy_string_raw(char* to, const char* from, size_t size): the length without the NUL;
// size if there was no NUL; -1 after a fault. May store up to seven bytes behind the NUL, within
// `size`. Words that cross a page are read byte by byte: their end may not be there.
.balign 32
.globl copy_string_raw
copy_string_raw:
    xor %eax, %eax
    movabs $0x0101010101010101, %r10
    movabs $0x8080808080808080, %r11
1:  lea 8(%rax), %r8
    cmp %rdx, %r8
    ja 2f
    lea (%rsi,%rax), %ecx
    and $4095, %ecx
    cmp $4088, %ecx
    ja 2f
.Lstring_word_load:
    mov (%rsi,%rax), %rcx
    mov %rcx, (%rdi,%rax)
    mov %rcx, %r9               // a zero byte: (word - 0x01..) & ~word & 0x80..
    sub %r10, %r9
    not %rcx
    and %r11, %r9
    and %rcx, %r9
    jnz 3f
    mov %r8, %rax
    jmp 1b
2:  cmp %rdx, %rax
    jae 4f
.Lstring_byte_load:
    movzbl (%rsi,%rax), %ecx
    mov %cl, (%rdi,%rax)
    test %cl, %cl
    jz 4f
    inc %rax
    jmp 1b
3:  bsf %r9, %r9
    shr $3, %r9
    add %r9, %rax
4:  ret
.Lstring_fault:
    mov $-1, %rax
    ret
    FIXUP .Lstring_word_load, .Lstring_fault
    FIXUP .Lstring_byte_load, .Lstring_fault

// bool compare_exchange_raw(uint32_t* word, uint32_t* expected, uint32_t desired): false after a
// fault; else *expected becomes what the word held.
.balign 16
.globl compare_exchange_raw
compare_exchange_raw:
    mov (%rsi), %eax
.Lexchange:
    lock cmpxchg %edx, (%rdi)
    mov %eax, (%rsi)
    mov $1, %eax
    ret
.Lexchange_fault:
    xor %eax, %eax
    ret
    FIXUP .Lexchange, .Lexchange_fault

.section .note.GNU-stack, "", @progbits
