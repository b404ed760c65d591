#include "libposix/libc/calls/process_page.h"

#include "elf-loader/image.h"

extern "C" {
// Defined in entry.S, filled by the patcher.
struct CallTable {
    const uint16_t* numbers;
    uint64_t count;
};
extern const CallTable coracle_call_table __attribute__((visibility("hidden")));
extern uint64_t coracle_call_slots[] __attribute__((visibility("hidden")));
extern uint64_t coracle_syscall_entry __attribute__((visibility("hidden")));
}

namespace coracle::libc {

__attribute__((section(".data.rel.ro"))) const abi::ProcessPage* coracle_process_page = nullptr;

}  // namespace coracle::libc

extern "C" void coracle_use_process_page(const coracle::abi::ProcessPage* page) {
    coracle::libc::coracle_process_page = page;
    coracle_syscall_entry = page->syscall_entry;
    const auto* entries = reinterpret_cast<const uint64_t*>(page->call_entries);
    for (uint64_t i = 0; i < coracle_call_table.count; ++i)
        coracle_call_slots[i] = entries[coracle_call_table.numbers[i]];
}
