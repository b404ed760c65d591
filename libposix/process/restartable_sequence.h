// Restartable sequences (rseq(2), Linux's kernel/rseq.c): the thread tells of an area in which the
// kernel shows the CPU's number, and of critical sections that it must abort when it interrupts.
#pragma once

#include "kernel-min/sched/trap_frame.h"

namespace coracle {

class Process;

// Before a signal handler runs: a critical section in progress is aborted, so that the frame
// continues at its abort address. False: the area or what it names is bad, which is SIGSEGV.
bool abort_restartable_sequence(TrapFrame& frame);

// On the way out, after the thread was preempted or has moved to another CPU (kPendingSequence):
// aborts, and tells the program its CPU. A bad area is SIGSEGV.
void resume_restartable_sequence(TrapFrame& frame);

// membarrier(2): the critical sections that the process's threads are in on other CPUs, or on that
// one alone, are aborted before their next instruction, once a TLB flush of those CPUs that follows
// has been answered. `cpu` -1: all.
void abort_sequences_elsewhere(const Process& process, int cpu);

}  // namespace coracle
