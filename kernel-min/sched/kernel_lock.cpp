#include "kernel-min/sched/kernel_lock.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"

namespace coracle {
namespace {

std::atomic<bool> is_locked;
// Of the CPUs that wait: those that have halted (bit n: CPU n), and how many are awake or have been
// woken. Whoever is awake takes the lock when it becomes free, so that nobody needs to be woken.
std::atomic<uint64_t> halted_waiters;
std::atomic<uint32_t> awake_waiters;
// One that was woken and came too late: it gets the lock next, whoever else is there.
std::atomic<Cpu*> next_holder;
// The holder, if it has halted until those that hold the lock locally are gone.
std::atomic<Cpu*> halted_holder;

uint64_t bit(const Cpu& cpu) {
    return uint64_t{1} << cpu.id;
}

bool try_lock() {
    return !is_locked.load(std::memory_order_relaxed) &&
           !is_locked.exchange(true);
}

// Counts a waiter that has halted among those that are awake. False: somebody has done so.
bool take_from_halted(const Cpu& cpu) {
    if (!(halted_waiters.fetch_and(~bit(cpu)) & bit(cpu))) return false;
    awake_waiters.fetch_add(1);
    return true;
}

void wake_waiter(Cpu& cpu) {
    if (take_from_halted(cpu)) core::send_interrupt(cpu, WAKE_VECTOR);
}

// True: the CPU has the lock, and is counted as awake.
bool poll(Cpu& cpu) {
    constexpr unsigned kPolls = 200;
    for (unsigned i = 0; i < kPolls; i++) {
        if (cpu.lock_granted.load(std::memory_order_acquire) || try_lock()) return true;
        asm volatile("pause");
    }
    return false;
}

// Whoever unlocks looks for halted waiters afterwards, and a waiter looks at the lock after it has
// said that it will halt: one of the two sees the other.
bool halt_unless_free(Cpu& cpu) {
    cpu.pending.fetch_and(~kPendingWake);
    halted_waiters.fetch_or(bit(cpu));
    awake_waiters.fetch_sub(1);
    const bool has_lock = cpu.lock_granted.load() || (!is_locked.load() && try_lock());
    if (!has_lock) core::halt(kPendingWake);
    take_from_halted(cpu);
    return has_lock;
}

[[gnu::noinline]] void wait_for_lock(Cpu& cpu) {
    cpu.looks_soon.store(true, std::memory_order_relaxed);
    awake_waiters.fetch_add(1);
    while (!poll(cpu) && !halt_unless_free(cpu)) {
        Cpu* nobody = nullptr;
        next_holder.compare_exchange_strong(nobody, &cpu);
    }
    awake_waiters.fetch_sub(1);
    // Only a holder looks at these.
    if (next_holder.load(std::memory_order_relaxed) == &cpu) {
        next_holder.store(nullptr, std::memory_order_relaxed);
    }
    cpu.lock_granted.store(false, std::memory_order_relaxed);
    cpu.looks_soon.store(false, std::memory_order_relaxed);
}

bool is_local(const Cpu& cpu) {
    return cpu.lock_hold.load() == LockHold::kLocal;
}

// Who gives the lock away looks for a halted holder afterwards, and the holder looks at it after it
// has said that it will halt: one of the two sees the other.
[[gnu::noinline]] void wait_for_local_holder(Cpu& cpu, const Cpu& other) {
    constexpr unsigned kPolls = 200;
    cpu.looks_soon.store(true, std::memory_order_relaxed);
    for (unsigned i = 0; is_local(other); i++) {
        if (i < kPolls) {
            asm volatile("pause");
            continue;
        }
        cpu.pending.fetch_and(~kPendingWake);
        halted_holder.store(&cpu);
        if (is_local(other)) core::halt(kPendingWake);
        halted_holder.store(nullptr);
    }
    cpu.looks_soon.store(false, std::memory_order_relaxed);
}

void give_away_local(Cpu& cpu) {
    cpu.lock_hold.store(LockHold::kNone);
    if (const Cpu* holder = halted_holder.load()) [[unlikely]] {
        core::send_interrupt(*holder, WAKE_VECTOR);
    }
}

void give_away_alone() {
    if (Cpu* next = next_holder.load(std::memory_order_relaxed)) [[unlikely]] {
        next->lock_granted.store(true);
        wake_waiter(*next);
        return;
    }
    is_locked.store(false);
    const uint64_t halted = halted_waiters.load();
    if (halted && !awake_waiters.load()) wake_waiter(*cpus[__builtin_ctzl(halted)]);
}

}  // namespace

void lock_kernel() {
    Cpu& cpu = *current_cpu();
    if (!try_lock()) wait_for_lock(cpu);
    for (unsigned i = 0; i < cpu_count; i++) {
        if (is_local(*cpus[i])) [[unlikely]]
            wait_for_local_holder(cpu, *cpus[i]);
    }
    cpu.lock_hold.store(LockHold::kAlone, std::memory_order_relaxed);
}

void lock_kernel_locally() {
    Cpu& cpu = *current_cpu();
    cpu.lock_hold.store(LockHold::kLocal);
    if (!is_locked.load()) [[likely]]
        return;
    give_away_local(cpu);
    lock_kernel();
    hold_locally();
}

void hold_alone() {
    Cpu& cpu = *current_cpu();
    if (cpu.lock_hold.load(std::memory_order_relaxed) != LockHold::kLocal) return;
    give_away_local(cpu);
    lock_kernel();
}

void hold_locally() {
    Cpu& cpu = *current_cpu();
    if (cpu.lock_hold.load(std::memory_order_relaxed) != LockHold::kAlone) return;
    cpu.lock_hold.store(LockHold::kLocal);
    give_away_alone();
}

void become_alone_now() {
    current_thread()->home = nullptr;
    hold_alone();
}

void hold_as_needed() {
    const uint32_t* home = current_thread()->home;
    if (!home || *home != current_cpu()->id) become_alone_now();
}

bool KernelSection::enter(LockNeeded needs) {
    const LockHold hold = current_cpu()->lock_hold.load(std::memory_order_relaxed);
    const bool is_enough = hold == LockHold::kAlone ||
                           (hold == LockHold::kLocal && needs == LockNeeded::kLocally);
    if (is_enough) return false;
    current_thread()->home = nullptr;
    if (hold == LockHold::kLocal) {
        hold_alone();
        return false;
    }
    needs == LockNeeded::kAlone ? lock_kernel() : lock_kernel_locally();
    return true;
}

void unlock_kernel() {
    Cpu& cpu = *current_cpu();
    if (cpu.lock_hold.load(std::memory_order_relaxed) == LockHold::kLocal) {
        return give_away_local(cpu);
    }
    cpu.lock_hold.store(LockHold::kNone, std::memory_order_relaxed);
    give_away_alone();
}

}  // namespace coracle
