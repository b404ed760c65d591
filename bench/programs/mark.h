// Marks in a program that instruction_counter.c sees: an 8-byte NOP with a number in its
// displacement, which costs nothing anywhere else.
#pragma once

#define MARK_TEXT(x) #x
#define MARK_NUMBER(x) MARK_TEXT(x)

// `id`: exactly four hexadecimal digits.
#define MARK(id) __asm__ volatile("nopl 0x5ca1" MARK_NUMBER(id) "(%%rax,%%rax,1)" ::: "memory")
