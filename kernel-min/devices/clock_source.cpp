#include "kernel-min/devices/clock_source.h"

#include <cpuid.h>

#include <algorithm>

#include "kernel-min/core/gates.h"
#include "kernel-min/devices/clock_calibration.h"
#include "kernel-min/devices/clock_measurement.h"
#include "kernel-min/devices/pit.h"
#include "kernel-min/memory/frames.h"
#include "kernel-min/sched/kernel_lock.h"

namespace coracle {
namespace {

// A measurement against the PIT is left alone for ever after so long. It must be made before what
// the rough rate may be wrong by is half of the PIT's period, and may not change the rate by more
// than a so-manieth.
constexpr uint64_t kFinalAfterNs = 1'000'000'000, kFinalBeforeNs = 8'000'000'000;
constexpr uint64_t kFinalSpread = 250;

// Reads a reference clock and the TSC at one moment: of some tries, the one that took least time,
// for a hypervisor may stop the CPU between the two.
template <typename Read>
auto read_together(Read read, uint64_t* tsc) {
    constexpr unsigned kTries = 4;
    uint64_t shortest = UINT64_MAX;
    decltype(read()) best{};
    for (unsigned i = 0; i < kTries; i++) {
        const uint64_t before = read_tsc();
        const auto value = read();
        const uint64_t took = read_tsc() - before;
        if (took >= shortest) continue;
        shortest = took;
        best = value;
        *tsc = before + took / 2;
    }
    return best;
}

// The local APIC's timer of the CPU that booted as a reference (Intel SDM 3A, 11.5.4): it counts
// down from what arm_clock_timer() set, so what it saw is a sum of stretches.
class ApicReference {
  public:
    // Arms the timer. While the measurement runs, what the stretch before saw is kept.
    void start(uint64_t nanoseconds, ClockCalibration* measurement) {
        if (measurement) sample(*measurement);
        core::arm_timer(nanoseconds);
        is_running_ = measurement != nullptr;
        if (is_running_) last_count_ = read_together(current_count, &last_tsc_);
    }

    // Tells what passed since the last look. A timer that ran out tells nothing.
    void sample(ClockCalibration& measurement) {
        if (!is_running_) return;
        uint64_t tsc = 0;
        const uint32_t count = read_together(current_count, &tsc);
        is_running_ = count != 0 && count <= last_count_;
        if (!is_running_) return;
        measurement.add(tsc - last_tsc_, last_count_ - count);
        last_count_ = count;
        last_tsc_ = tsc;
    }

    bool is_running() const { return is_running_; }

  private:
    static uint32_t current_count() {
        constexpr PhysAddr kCurrentCount = 0xfee00390;
        return *phys_to_virt<volatile uint32_t>(kCurrentCount);
    }

    bool is_running_ = false;
    uint32_t last_count_ = 0;
    uint64_t last_tsc_ = 0;
};

// The PIT as a reference over seconds: a rate that is known to a thousandth tells how often it
// wrapped around.
class PitReference {
  public:
    void start() {
        is_present_ = pit::start();
        if (is_present_) start_ = read_together(pit::read, &start_tsc_);
    }

    bool is_present() const { return is_present_; }
    // The rate from the time since start(). Precondition: there is a PIT.
    ClockRate measure(const ClockRate& rough) const {
        uint64_t tsc = 0;
        const uint32_t now = read_together(pit::read, &tsc);
        const uint64_t ticks = tsc - start_tsc_;
        const uint64_t phase = (now - start_) % pit::kPeriod;
        const uint64_t expected = to_pit_ticks(rough.to_ns(ticks));
        const uint64_t periods = (expected + pit::kPeriod / 2 - phase) / pit::kPeriod;
        const uint64_t elapsed = periods * pit::kPeriod + phase;
        return ClockRate::measured(ticks, to_ns(elapsed));
    }

  private:
    // value * to / from, in 64 bits for all times that matter.
    static uint64_t scale(uint64_t value, uint64_t to, uint64_t from) {
        return value / from * to + value % from * to / from;
    }
    static uint64_t to_pit_ticks(uint64_t ns) { return scale(ns, pit::kHertz, kSecond); }
    static uint64_t to_ns(uint64_t pit_ticks) { return scale(pit_ticks, kSecond, pit::kHertz); }
    static constexpr uint64_t kSecond = 1'000'000'000;

    bool is_present_ = false;
    uint32_t start_ = 0;
    uint64_t start_tsc_ = 0;
};

enum class Precision { kYoung, kExact, kFinal };

ApicReference reference;
ClockCalibration calibration;
PitReference long_reference;
Precision precision = Precision::kYoung;
bool was_doubted;  // the references have disagreed before
ClockRate rate;
uint64_t base_tsc, base_ns;
uint64_t last_ns;  // the latest answer while the rate was young
LocalLock last_ns_lock;
abi::ClockPage* clock_page;

struct Cpuid {
    uint32_t eax, ebx, ecx, edx;
    explicit Cpuid(uint32_t leaf) { __cpuid_count(leaf, 0, eax, ebx, ecx, edx); }
};

// Leaf 0x15 (Intel SDM 2A, CPUID): crystal clock and its ratio to the TSC.
ClockRate rate_from_processor() {
    if (Cpuid(0).eax < 0x15) return {};
    const Cpuid leaf(0x15);
    if (leaf.eax == 0 || leaf.ebx == 0 || leaf.ecx == 0) return {};
    return ClockRate::from_hertz(uint64_t{leaf.ecx} * leaf.ebx / leaf.eax);
}

// Leaf 0x40000010, which VMware began and others took over: TSC kHz.
ClockRate rate_from_hypervisor() {
    constexpr uint32_t kHypervisorBase = 0x40000000, kFrequencies = 0x40000010;
    if (!(Cpuid(1).ecx >> 31)) return {};
    if (Cpuid(kHypervisorBase).eax < kFrequencies) return {};
    return ClockRate::from_hertz(uint64_t{Cpuid(kFrequencies).eax} * 1000);
}

// Linux's Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW.
struct alignas(32) KvmTime {
    uint32_t version, padding;
    uint64_t tsc_timestamp, system_time;
    uint32_t tsc_to_system_multiplier;
    int8_t tsc_shift;
    uint8_t flags, padding2[2];
};
static_assert(sizeof(KvmTime) == 32);

ClockRate rate_from_kvm() {
    constexpr uint32_t kSignature = 0x40000000, kFeatures = 0x40000001;
    constexpr uint32_t kClockSource2 = 1u << 3;
    constexpr uint32_t kSystemTimeMsr = 0x4b564d01;
    constexpr uint32_t kKvmEbx = 0x4b4d564b;  // "KVMK"
    constexpr uint64_t kKernelBase = 0xffffffff80000000;
    if (!(Cpuid(1).ecx >> 31)) return {};
    const Cpuid signature(kSignature);
    if (signature.ebx != kKvmEbx || !(Cpuid(kFeatures).eax & kClockSource2)) return {};

    static volatile KvmTime time;
    core::write_msr(kSystemTimeMsr, (reinterpret_cast<uint64_t>(&time) - kKernelBase) | 1);
    const uint64_t multiplier = time.tsc_to_system_multiplier;
    const int8_t shift = time.tsc_shift;
    core::write_msr(kSystemTimeMsr, 0);
    return {shift >= 0 ? multiplier << shift : multiplier >> -shift};
}

void write_page() {
    if (!clock_page) return;
    auto* sequence = reinterpret_cast<volatile uint32_t*>(&clock_page->sequence);
    *sequence = *sequence + 1;
    asm volatile("" ::: "memory");
    clock_page->shift = ClockRate::kShift;
    clock_page->multiplier = precision == Precision::kYoung ? 0 : rate.multiplier;
    clock_page->base_tsc = base_tsc;
    clock_page->monotonic_base_ns = base_ns;
    asm volatile("" ::: "memory");
    *sequence = *sequence + 1;
}

// With nothing to go by (the timer ran out before anybody asked), watches the reference briefly.
void measure_now() {
    constexpr uint64_t kEnoughTicks = 1'000'000;  // some 0.3 ms
    const uint64_t start = read_tsc();
    do {
        if (!reference.is_running()) reference.start(UINT32_MAX, &calibration);
        reference.sample(calibration);
    } while (!calibration.rate().is_known() || read_tsc() - start < kEnoughTicks);
}

// While the rate is young, everything since boot is read at the newest rate; young_monotonic_ns()
// keeps it from going back. The other CPUs have timers of their own, and wait for the first to
// learn.
void refine_young() {
    if (current_cpu()->id != 0) return;
    reference.sample(calibration);
    if (holds_lock_locally()) return;
    if (!calibration.rate().is_known()) {
        if (rate.is_known()) return;
        measure_now();
    }
    rate = calibration.rate();
    if (!calibration.is_exact()) return;
    const uint64_t tsc = read_tsc();
    base_ns = std::max(base_ns + rate.to_ns(tsc - base_tsc), last_ns);
    base_tsc = tsc;
    precision = Precision::kExact;
    long_reference.start();
    write_page();
}

// Goes on from the time that it is now.
void rebase(uint64_t tsc) {
    base_ns += rate.to_ns(tsc - base_tsc);
    base_tsc = tsc;
}

// Sets the rate once and for all, if the two references agree. If they do not, both begin again,
// but only once: a machine whose PIT cannot be trusted keeps the other's rate.
void refine_exact() {
    const uint64_t tsc = read_tsc();
    const uint64_t elapsed = rate.to_ns(tsc - base_tsc);
    if (elapsed < kFinalAfterNs) return;
    if (!long_reference.is_present()) {
        precision = Precision::kFinal;
        return;
    }
    rebase(tsc);
    if (elapsed > kFinalBeforeNs) {
        long_reference.start();
        return;
    }
    const ClockRate exact = long_reference.measure(rate);
    const uint64_t difference =
        std::max(exact.multiplier, rate.multiplier) - std::min(exact.multiplier, rate.multiplier);
    if (difference <= rate.multiplier / kFinalSpread) {
        rate = exact;
        precision = Precision::kFinal;
    } else if (was_doubted) {
        precision = Precision::kFinal;
    } else {
        was_doubted = true;
        last_ns = base_ns;
        calibration = {};
        precision = Precision::kYoung;
    }
    write_page();
}

uint64_t young_monotonic_ns() {
    refine_young();
    LocalLockGuard guard(last_ns_lock);
    last_ns = std::max(last_ns, base_ns + rate.to_ns(read_tsc() - base_tsc));
    return last_ns;
}

uint8_t read_cmos(uint8_t index) {
    constexpr uint16_t kIndexPort = 0x70, kDataPort = 0x71;
    core::port_out(kIndexPort, 1, index);
    return static_cast<uint8_t>(core::port_in(kDataPort, 1));
}

// Days since 1970-01-01 of a date of the Gregorian calendar.
int64_t days_since_1970(int64_t year, int64_t month, int64_t day) {
    // Years start in March here, so that the leap day is a year's last.
    if (month <= 2) {
        year--;
        month += 12;
    }
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 1 -
           719468;
}

}  // namespace

void init_clock_source() {
    base_tsc = read_tsc();
    rate = rate_from_processor();
    if (!rate.is_known()) rate = rate_from_hypervisor();
    if (!rate.is_known()) rate = rate_from_kvm();
    if (rate.is_known()) {
        precision = Precision::kFinal;
    } else {
        reference.start(UINT32_MAX, &calibration);
    }
}

uint64_t monotonic_ns() {
    if (precision == Precision::kYoung) [[unlikely]]
        return young_monotonic_ns();
    return base_ns + rate.to_ns(read_tsc() - base_tsc);
}

bool timer_measures_clock() {
    return precision != Precision::kFinal && current_cpu()->id == 0;
}

uint64_t tsc_to_ns(uint64_t ticks) {
    if (precision == Precision::kYoung) refine_young();
    return rate.to_ns(ticks);
}

void arm_clock_timer(uint64_t nanoseconds) {
    // The reference is the timer of the CPU that booted.
    if (current_cpu()->id != 0) return core::arm_timer(nanoseconds);
    if (precision == Precision::kExact && !holds_lock_locally()) refine_exact();
    // As long as there is something to measure, an idle timer goes on, and comes back here.
    if (nanoseconds == 0 && precision != Precision::kFinal) nanoseconds = UINT32_MAX;
    reference.start(nanoseconds, precision == Precision::kYoung ? &calibration : nullptr);
}

uint64_t read_machine_wall_clock() {
    constexpr uint8_t kStatusA = 0x0a, kStatusB = 0x0b, kUpdating = 0x80, kBinary = 4, kHours24 = 2;
    constexpr uint8_t kFields[] = {0, 2, 4, 7, 8, 9};  // seconds, minutes, hours, day, month, year
    uint8_t value[6];
    do {
        for (unsigned i = 0; i < 6; i++) value[i] = read_cmos(kFields[i]);
        if (value[0] == 0xff) return 0;  // nobody there
    } while ((read_cmos(kStatusA) & kUpdating) || read_cmos(kFields[0]) != value[0]);
    const uint8_t status = read_cmos(kStatusB);
    const bool is_afternoon = !(status & kHours24) && (value[2] & 0x80);
    value[2] &= 0x7f;
    if (!(status & kBinary)) {
        for (uint8_t& field : value) field = static_cast<uint8_t>((field >> 4) * 10 + (field & 15));
    }
    if (!(status & kHours24)) {
        value[2] = static_cast<uint8_t>(value[2] % 12 + (is_afternoon ? 12 : 0));
    }
    const int64_t days = days_since_1970(2000 + value[5], value[4], value[3]);
    const int64_t seconds = ((days * 24 + value[2]) * 60 + value[1]) * 60 + value[0];
    return static_cast<uint64_t>(seconds) * 1'000'000'000;
}

void publish_monotonic_clock(abi::ClockPage* page) {
    clock_page = page;
    write_page();
}

}  // namespace coracle
