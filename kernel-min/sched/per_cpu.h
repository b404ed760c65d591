// Data of which every CPU has its own, for what hot paths change: two CPUs never write to the same
// cache line.
//
// Locks: a CPU changes its own part, in kernel code, which is not preempted; a reference to it is
// good until the next sleep. Who reads or changes another CPU's part holds the kernel lock alone.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#include "kernel-min/memory/heap.h"
#ifndef CORACLE_HOST_TEST
#include "kernel-min/sched/cpu.h"
#endif

namespace coracle {

constexpr size_t kCacheLineSize = 64;

#ifdef CORACLE_HOST_TEST
// A test may play a machine of several CPUs.
inline unsigned test_cpu_count = 1;
inline unsigned test_cpu = 0;
inline size_t cpu_index() { return test_cpu; }
inline size_t cpu_slots() { return test_cpu_count; }
#else
// Of the CPU that runs this, below cpu_slots().
inline size_t cpu_index() {
    static_assert(offsetof(Cpu, id) == 28);
    size_t id;  // a load of 32 bits clears the rest
    asm volatile("mov %%gs:28, %k0" : "=r"(id));
    return id;
}
inline size_t cpu_slots() { return cpu_count; }
#endif

template <typename T>
class PerCpu {
    struct alignas(kCacheLineSize) Slot {
        T value{};
    };
    // A power of two: a shift finds a part, whatever its size.
    static constexpr size_t kStride = std::bit_ceil(sizeof(Slot));

  public:
    constexpr PerCpu() = default;
    ~PerCpu() { release(); }
    PerCpu(const PerCpu&) = delete;
    PerCpu& operator=(const PerCpu&) = delete;

    // Makes the parts; not before all CPUs run. False when out of memory: it must not be used.
    bool allocate() {
        const size_t count = cpu_slots();
        // The heap aligns to less.
        block_ = kernel_allocate(count * kStride + kCacheLineSize);
        if (!block_) return false;
        const auto address = reinterpret_cast<uintptr_t>(block_);
        slots_ =
            reinterpret_cast<std::byte*>((address + kCacheLineSize - 1) & ~(kCacheLineSize - 1));
        for (; size_ < count; size_++) new (slots_ + size_ * kStride) Slot;
        return true;
    }
    bool is_allocated() const { return slots_; }

    T& current() const { return slot(cpu_index()).value; }
    T& of(size_t cpu) const { return slot(cpu).value; }
    size_t size() const { return size_; }  // 0 before allocate()

    template <typename Visit>  // visit(T&), for each CPU
    void for_each(Visit visit) const {
        for (size_t cpu = 0; cpu < size_; cpu++) visit(of(cpu));
    }

  private:
    void release() {
        for (size_t cpu = 0; cpu < size_; cpu++) slot(cpu).~Slot();
        if (block_) kernel_free(block_);
    }

    Slot& slot(size_t cpu) const { return *reinterpret_cast<Slot*>(slots_ + cpu * kStride); }

    std::byte* slots_ = nullptr;
    void* block_ = nullptr;
    size_t size_ = 0;
};

// The sum of structures that hold nothing but uint64_t: counters. A gauge that one CPU raises and
// another lowers comes out right, too.
template <typename Counters>
void add_counters(Counters& to, const Counters& from) {
    static_assert(sizeof(Counters) % sizeof(uint64_t) == 0);
    auto* sum = reinterpret_cast<uint64_t*>(&to);
    const auto* more = reinterpret_cast<const uint64_t*>(&from);
    for (size_t i = 0; i < sizeof(Counters) / sizeof(uint64_t); i++) sum[i] += more[i];
}

}  // namespace coracle
