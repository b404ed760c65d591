#include "kernel-min/sched/tlb.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/sched/scheduler.h"

namespace coracle {
namespace {

constexpr uint64_t kPageSize = 4096;

void ask(Cpu& cpu, uint64_t address) {
    cpu.flush_address = address;
    cpu.flushes_wanted.fetch_add(1, std::memory_order_release);
    core::send_interrupt(cpu, FLUSH_VECTOR);
}

void await(const Cpu& cpu) {
    while (cpu.flushes_done.load(std::memory_order_acquire) !=
           cpu.flushes_wanted.load(std::memory_order_relaxed)) {
        asm volatile("pause");
    }
}

uint64_t address_to_flush(uint64_t start, uint64_t end) {
    return end - start <= kPageSize ? start : kFlushAll;
}

// Bit n: CPU n was asked, and flushes now.
uint64_t ask_others(uint64_t root, uint64_t address) {
    const Cpu* self = current_cpu();
    uint64_t asked = 0;
    for (unsigned i = 0; i < cpu_count && cpu_count > 1; i++) {
        Cpu& cpu = *cpus[i];
        if (&cpu == self || cpu.page_table != root) continue;
        if (is_idle(cpu)) {
            cpu.flush_before_use = true;
        } else {
            ask(cpu, address);
            asked |= uint64_t{1} << i;
        }
    }
    return asked;
}

void await_all(uint64_t asked) {
    for (; asked; asked &= asked - 1) await(*cpus[__builtin_ctzl(asked)]);
}

}  // namespace

void use_page_table(uint64_t root) {
    current_thread()->page_table = root;
    current_cpu()->page_table = root;
    core::load_page_table(root);
}

void flush_tlb(uint64_t root, uint64_t start, uint64_t end) {
    const Cpu* self = current_cpu();
    const uint64_t address = address_to_flush(start, end);
    const uint64_t asked = ask_others(root, address);
    // A gate costs more than the misses of a whole TLB, so never two of them. Entries of the
    // application's half are not global.
    if (self->page_table == root) {
        if (address != kFlushAll) {
            core::flush_page(address);
        } else {
            core::load_page_table(root);
        }
    }
    await_all(asked);
}

void flush_other_tlbs(uint64_t root, uint64_t start, uint64_t end) {
    await_all(ask_others(root, address_to_flush(start, end)));
}

}  // namespace coracle
