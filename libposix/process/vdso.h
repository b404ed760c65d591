// The pages that the kernel puts into every process: "[vvar]", the ProcessPage, read-only, and
// "[vdso]", the vDSO (man 7 vdso; libposix/time/vdso). Its ELF entry is a `syscall` instruction
// with a `ret` behind it: a rewritten or C call that a signal interrupts goes on as if it had
// trapped there.
#pragma once

#include <cstdint>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/lib/result.h"
#include "libposix/memory/address_space.h"

namespace coracle {

class Process;

struct ProcessPages {
    uint64_t vvar;          // address of the ProcessPage in the process
    uint64_t vdso;          // address of the vDSO's ELF header: AT_SYSINFO_EHDR
    uint64_t vdso_syscall;  // address of `syscall; ret`
    abi::ProcessPage* page;  // the kernel's view, valid as long as the address space
};

// Maps both at addresses of the address space's choice. ENOMEM.
Result<ProcessPages> map_process_pages(AddressSpace& address_space);

// Brings pid, ids and the like up to date after they changed.
void update_process_page(Process& process);

}  // namespace coracle
