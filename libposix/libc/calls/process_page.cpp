#include "libposix/libc/calls/process_page.h"

#include "elf-loader/image.h"

extern "C" {
extern uint64_t coracle_syscall_entry __attribute__((visibility("hidden")));
}

namespace coracle::libc {

__attribute__((section(".data.rel.ro"))) const abi::ProcessPage* coracle_process_page = nullptr;

}  // namespace coracle::libc

extern "C" void coracle_use_process_page(const coracle::abi::ProcessPage* page) {
    coracle::libc::coracle_process_page = page;
    coracle_syscall_entry = page->syscall_entry;
}
