#include "kernel-min/sched/secondary_cpus.h"

#include <cstring>

#include "kernel-min/boot/processors.h"
#include "kernel-min/boot/syscall_entry.h"
#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/scheduler.h"

extern "C" {
extern char secondary_trampoline[], secondary_trampoline_end[];
extern uint64_t kernel_pml4[512];
}

namespace coracle {
namespace {

constexpr uint64_t kStartTimeoutNs = 1'000'000'000;

struct TrampolineParameters {  // known to core/boot.S
    uint64_t index;
    Cpu* cpu;
    uint64_t stack;
};

std::atomic<bool> has_started;

// For when a CPU has nothing to run. The CPUs to come start on its stack, without a switch.
Result<Thread*> create_idle_thread(Cpu& cpu) {
    Thread* thread = TRY(create_kernel_thread([](void*) { run_others(); }, nullptr));
    thread->cpu = &cpu;
    return thread;
}

Result<Cpu*> create_cpu(uint32_t id, uint32_t apic_id) {
    auto cpu = TRY(make_unique_object<Cpu>());
    cpu->id = id;
    cpu->apic_id = apic_id;
    cpu->page_table = reinterpret_cast<uint64_t>(kernel_pml4) - KERNEL_BASE;
    auto scheduler = TRY(make_unique_object<CpuScheduler>(*cpu));
    scheduler->idle_thread = TRY(create_idle_thread(*cpu));
    cpu->current = scheduler->idle_thread;
    cpu->kernel_stack_top = cpu->current->kernel_stack_top;
    cpu->scheduler = scheduler.release();
    if (!refill_stack_reserve(*cpu)) return Error(ENOMEM);
    return cpu.release();
}

// False if it does not answer.
bool start(Cpu& cpu) {
    constexpr PhysAddr kTrampoline = TRAMPOLINE;
    *phys_to_virt<TrampolineParameters>(TRAMPOLINE_PARAMETERS) = {cpu.id, &cpu,
                                                                  cpu.kernel_stack_top};
    has_started = false;
    core::send_start(cpu, kTrampoline >> 12);
    const uint64_t limit = monotonic_ns() + kStartTimeoutNs;
    while (!has_started) {
        if (monotonic_ns() > limit) return false;
        asm volatile("pause");
    }
    return true;
}

}  // namespace

void start_secondary_cpus() {
    uint32_t apic_ids[MAX_CPUS];
    const unsigned count = find_processors(apic_ids, MAX_CPUS);
    if (count <= 1) return;
    Cpu& self = *current_cpu();
    self.apic_id = core::own_apic_id();
    auto idle_thread = create_idle_thread(self);
    if (!idle_thread.ok()) return;
    self.scheduler->idle_thread = *idle_thread;
    memcpy(phys_to_virt<char>(TRAMPOLINE), secondary_trampoline,
           static_cast<size_t>(secondary_trampoline_end - secondary_trampoline));

    lock_kernel();
    unsigned started = 1;
    for (unsigned i = 0; i < count; i++) {
        if (apic_ids[i] == self.apic_id) continue;
        auto cpu = create_cpu(started, apic_ids[i]);
        if (!cpu.ok() || !start(**cpu)) break;
        cpus[started++] = *cpu;
    }
    cpu_count = started;
    if (started == 1) unlock_kernel();
}

}  // namespace coracle

// Another CPU's first code in ring 3, on its idle thread's stack.
extern "C" void secondary_start(coracle::Cpu*) {
    using namespace coracle;
    choose_syscall_entry();
    has_started = true;
    lock_kernel();
    run_others();
}
