// What ring 0 does with exceptions and interrupts: hand them to ring 3, or note them.
#include "kernel-min/core/core.h"

extern "C" {
extern char exception_upcall[], interrupt_upcall[], call_exit_check[], call_exit_switch[],
    frame_exit_check[], frame_exit_iretq[];
}

namespace coracle::core {

namespace {

// Copies the frame to the thread's kernel stack and makes this return into a ring-3 upcall, with
// the frame's address in rdi.
void redirect(TrapFrame* frame, const char* upcall) {
    Cpu* cpu = current_core_cpu().cpu;
    bool is_entry = frame->from_application() || !frame->on_kernel_stack();
    uint64_t stack = is_entry ? cpu->kernel_stack_top : frame->rsp;
    // Below the interrupted frame, 16-byte aligned. Kernel code has no red zone.
    uint64_t target = (stack - sizeof(TrapFrame) - 8) & ~15ul;
    if (target < DIRECT_MAP_BASE) core_panic("bad kernel stack", *frame);
    auto* copy = reinterpret_cast<uint64_t*>(target);
    auto* words = reinterpret_cast<uint64_t*>(frame);
    for (size_t i = 0; i < sizeof(TrapFrame) / 8; i++) copy[i] = words[i];
    if (is_entry) copy[sizeof(TrapFrame) / 8] = 0;  // a trap's frame: entry.S
    if (is_entry) asm volatile("wrgsbase %0" ::"r"(cpu));
    frame->rdi = target;
    frame->rsp = target;
    frame->rip = reinterpret_cast<uint64_t>(upcall);
    frame->rflags = 0x202;
    frame->cs = USER_CODE_SELECTOR;
    frame->ss = USER_DATA_SELECTOR;
    frame->rbp = 0;
}

bool within(uint64_t rip, const char* start, const char* end) {
    return rip >= reinterpret_cast<uint64_t>(start) && rip <= reinterpret_cast<uint64_t>(end);
}

// An interrupt of kernel code is only noted. The kernel looks at Cpu::pending as the last thing
// before it leaves; between that look and the leaving instruction it is sent back to look again,
// so nothing is left waiting. Both windows change no register that the look depends on.
void note(TrapFrame* frame, uint32_t bits) {
    Cpu* cpu = current_core_cpu().cpu;
    cpu->pending.fetch_or(bits, std::memory_order_relaxed);
    *local_apic(0xb0) = 0;  // EOI
    if ((frame->cs & 3) == 0) return;
    if (frame->from_application()) {
        redirect(frame, interrupt_upcall);
    } else if (within(frame->rip, frame_exit_check, frame_exit_iretq)) {
        frame->rip = reinterpret_cast<uint64_t>(frame_exit_check);
    } else if (within(frame->rip, call_exit_check, call_exit_switch)) {
        frame->rip = reinterpret_cast<uint64_t>(call_exit_check);
    }
}

}  // namespace

}  // namespace coracle::core

using namespace coracle;

extern "C" void core_exception(TrapFrame* frame) {
    constexpr uint64_t kPageFault = 14;
    if (frame->vector == kPageFault && !frame->from_application() &&
        core::grow_kernel_stack(frame->cr2)) {
        return;
    }
    if ((frame->cs & 3) == 0) core::core_panic("exception in the ring-0 core", *frame);
    if (frame->vector == 2 || frame->vector == 8 || frame->vector == 18) {
        core::core_panic("machine exception", *frame);
    }
    core::redirect(frame, exception_upcall);
}

extern "C" void core_on_timer(TrapFrame* frame) { core::note(frame, kPendingTimer); }

extern "C" void core_on_device(TrapFrame* frame) {
    core::current_core_cpu().cpu->pending_devices.fetch_or(1ul << frame->error_code,
                                                      std::memory_order_relaxed);
    core::note(frame, kPendingDevice);
}

extern "C" void core_on_wake(TrapFrame* frame) { core::note(frame, kPendingWake); }

// The requester holds the kernel lock and waits for the answer, so there is one at a time.
extern "C" void core_on_flush(TrapFrame*) {
    Cpu* cpu = core::current_core_cpu().cpu;
    const uint64_t address = cpu->flush_address;
    if (address == kFlushAll) {
        core::flush_tlb();
    } else {
        asm volatile("invlpg (%0)" ::"r"(address) : "memory");
    }
    cpu->flushes_done.store(cpu->flushes_wanted.load(std::memory_order_relaxed),
                            std::memory_order_release);
    *core::local_apic(0xb0) = 0;  // EOI
}
