// Numbers that the core's assembly and C++ share. Preprocessor only.
#pragma once

#define KERNEL_BASE 0xffffffff80000000
#define DIRECT_MAP_BASE 0xffff888000000000
// Kernel stacks: one top-level entry.
#define KERNEL_STACKS_BASE 0xffffca0000000000
#define KERNEL_STACKS_END 0xffffca8000000000

#define CORE_CODE_SELECTOR 0x10
#define CORE_DATA_SELECTOR 0x18
#define USER_CODE_SELECTOR 0x33
#define USER_DATA_SELECTOR 0x2b
#define TSS_SELECTOR 0x40

// Offsets in struct Cpu (kernel-min/sched/cpu.h).
#define CPU_CURRENT 8
#define CPU_KERNEL_STACK_TOP 16
#define CPU_PENDING 24
#define CPU_ID 28
#define CPU_PENDING_DEVICES 32

// Each CPU's part of the core (core.h): aligned to its size, so that ring 0 finds it by its stack.
#define MAX_CPUS 64
#define CORE_CPU_SIZE 8192

// Where the other CPUs start, in real mode: a page below 1 MiB, which nothing else uses once the
// boot information has been read, and what is told to them at its end.
#define TRAMPOLINE 0x8000
#define TRAMPOLINE_PARAMETERS 0x8fe0

#define TRAP_FRAME_SIZE 184
#define TRAP_SYSCALL 0x100
#define TRAP_INTERRUPT 0x101

#define TIMER_VECTOR 0x20
#define WAKE_VECTOR 0x21   // from another CPU: look at Cpu::pending
#define FLUSH_VECTOR 0x22  // from another CPU: drop the TLB (struct Cpu)
#define FIRST_DEVICE_VECTOR 0x40
#define LAST_DEVICE_VECTOR 0x7f
#define SPURIOUS_VECTOR 0xff

// Gate operations, in rax at the gate's int3.
#define GATE_HALT 0
#define GATE_PORT_IN 1
#define GATE_PORT_OUT 2
#define GATE_READ_MSR 3
#define GATE_WRITE_MSR 4
#define GATE_FLUSH_PAGE 5
#define GATE_FLUSH_ALL 6
#define GATE_LOAD_PAGE_TABLE 7
#define GATE_PRINT 8
#define GATE_POWER_OFF 9
