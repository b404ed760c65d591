#include "libposix/process/restartable_sequence.h"

#include <cstddef>

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

struct RseqArea {  // struct rseq
    uint32_t cpu_id_start;
    uint32_t cpu_id;
    uint64_t critical_section;
    uint32_t flags;
    uint32_t padding[3];
};
static_assert(sizeof(RseqArea) == 32);
constexpr uint64_t kAreaAlignment = 32;
constexpr uint32_t kCpuIdUninitialized = ~uint32_t{0};

struct CriticalSection {  // struct rseq_cs
    uint32_t version;
    uint32_t flags;
    uint64_t start;
    uint64_t post_commit_offset;
    uint64_t abort;
};
static_assert(sizeof(CriticalSection) == 32);

constexpr int kUnregister = 1;

Result<void> write_cpu(uint64_t area, uint32_t start, uint32_t cpu) {
    const uint32_t ids[2] = {start, cpu};
    return UserOut<uint32_t>(area).write_array(ids, 2);
}

Result<long> unregister_area(ThreadState& state, uint64_t area, uint32_t size, int flags,
                             uint32_t signature) {
    if (flags & ~kUnregister) return Error(EINVAL);
    if (!state.rseq_area || state.rseq_area != area || state.rseq_size != size) {
        return Error(EINVAL);
    }
    if (state.rseq_signature != signature) return Error(EPERM);
    TRY(write_cpu(area, 0, kCpuIdUninitialized));
    state.rseq_area = 0;
    current_thread()->has_sequence = false;
    return 0;
}

// What the area is about to say. A thread that moves before it does comes back to the way out.
void note_cpu(Thread& thread) {
    thread.has_sequence = true;
    thread.sequence_cpu = current_cpu()->id;
}

}  // namespace

Result<long> sys_rseq(unsigned long area, unsigned int size, int flags, unsigned int signature) {
    ThreadState& state = *current_thread()->state;
    if (flags & kUnregister) return unregister_area(state, area, size, flags, signature);
    if (flags) return Error(EINVAL);
    if (state.rseq_area) {
        if (state.rseq_area != area || state.rseq_size != size) return Error(EINVAL);
        return Error(state.rseq_signature != signature ? EPERM : EBUSY);
    }
    if (area % kAreaAlignment != 0 || size != sizeof(RseqArea)) return Error(EINVAL);
    Thread& thread = *current_thread();
    note_cpu(thread);
    TRY(write_cpu(area, thread.sequence_cpu, thread.sequence_cpu));
    state.rseq_area = area;
    state.rseq_size = size;
    state.rseq_signature = signature;
    return 0;
}

void resume_restartable_sequence(TrapFrame& frame) {
    Thread& thread = *current_thread();
    if (!thread.state->rseq_area) return;
    const bool is_good = abort_restartable_sequence(frame);
    note_cpu(thread);
    const uint32_t cpu = thread.sequence_cpu;
    if (!is_good || !write_cpu(thread.state->rseq_area, cpu, cpu).ok()) {
        force_signal(kSigSegv);
    }
}

void abort_sequences_elsewhere(const Process& process, int only) {
    for (unsigned i = 0; i < cpu_count; i++) {
        Cpu& cpu = *cpus[i];
        if (&cpu == current_cpu() || cpu.current->process != &process) continue;
        if (only != -1 && cpu.id != static_cast<uint32_t>(only)) continue;
        cpu.pending.fetch_or(kPendingSequence);
        // Application code enters the kernel by it. Requested first, so it is there when a flush
        // is.
        make_look(cpu);
    }
}

bool abort_restartable_sequence(TrapFrame& frame) {
    const ThreadState& state = *current_thread()->state;
    if (!state.rseq_area) return true;
    const uint64_t slot = state.rseq_area + offsetof(RseqArea, critical_section);
    uint64_t address;
    if (!copy_from_user(&address, slot, sizeof(address))) return false;
    if (address == 0) return true;

    CriticalSection section;
    uint32_t signature;
    if (!copy_from_user(&section, address, sizeof(section))) return false;
    const bool is_good = section.version == 0 && section.start < kUserEnd &&
                         section.post_commit_offset < kUserEnd &&
                         section.abort < kUserEnd &&
                         section.start + section.post_commit_offset < kUserEnd &&
                         section.abort - section.start >= section.post_commit_offset;
    if (!is_good) return false;
    if (!copy_from_user(&signature, section.abort - sizeof(signature), sizeof(signature))) {
        return false;
    }
    if (signature != state.rseq_signature) return false;

    const uint64_t none = 0;
    const bool is_inside = frame.rip - section.start < section.post_commit_offset;
    if (is_inside) {
        uint32_t area_flags;
        const uint64_t flags = state.rseq_area + offsetof(RseqArea, flags);
        if (!copy_from_user(&area_flags, flags, sizeof(area_flags))) return false;
        if (section.flags != 0 || area_flags != 0) return false;
    }
    if (!copy_to_user(slot, &none, sizeof(none))) return false;
    if (is_inside) frame.rip = section.abort;
    return true;
}

}  // namespace coracle
