// The mark in each thread that it is searching scopes, which dlclose waits for before it frees
// them (THREAD_GSCOPE in glibc's sysdeps/nptl/dl-thread_gscope_wait.c).
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "elf-loader/dynamic/glibc_thread.h"

namespace coracle::loader {

enum : int { kNoScopes = 0, kUsesScopes = 1, kIsAwaited = 2 };

inline void enter_scopes() {
    __atomic_store_n(&this_thread()->gscope_flag, kUsesScopes, __ATOMIC_SEQ_CST);
}

inline void leave_scopes() {
    int* flag = &this_thread()->gscope_flag;
    if (__atomic_exchange_n(flag, kNoScopes, __ATOMIC_RELEASE) == kIsAwaited)
        syscall(SYS_futex, flag, FUTEX_WAKE_PRIVATE, 1);
}

}  // namespace coracle::loader
