// The vDSO (man 7 vdso), found and called as libcs do that know no other way.
#include <elf.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <string>

#include "when_calm.h"

namespace {

class Vdso {
  public:
    Vdso() : base_(getauxval(AT_SYSINFO_EHDR)) {
        if (!base_) return;
        const auto& header = *reinterpret_cast<const Elf64_Ehdr*>(base_);
        const auto* segments = reinterpret_cast<const Elf64_Phdr*>(base_ + header.e_phoff);
        const Elf64_Dyn* dynamic = nullptr;
        for (int i = 0; i < header.e_phnum; i++) {
            const Elf64_Phdr& segment = segments[i];
            if (segment.p_type == PT_LOAD) bias_ = base_ + segment.p_offset - segment.p_vaddr;
            if (segment.p_type == PT_DYNAMIC) {
                dynamic = reinterpret_cast<const Elf64_Dyn*>(base_ + segment.p_offset);
            }
            has_unwind_table_ |= segment.p_type == PT_GNU_EH_FRAME;
        }
        for (; dynamic && dynamic->d_tag != DT_NULL; dynamic++) {
            const unsigned long value = dynamic->d_un.d_val;
            switch (dynamic->d_tag) {
                case DT_STRTAB: strings_ = reinterpret_cast<const char*>(bias_ + value); break;
                case DT_SYMTAB: symbols_ = reinterpret_cast<const Elf64_Sym*>(bias_ + value); break;
                case DT_HASH: hash_ = reinterpret_cast<const uint32_t*>(bias_ + value); break;
                case DT_VERSYM: versions_ = reinterpret_cast<const uint16_t*>(bias_ + value); break;
                case DT_VERDEF:
                    definitions_ = reinterpret_cast<const Elf64_Verdef*>(bias_ + value);
                    break;
                case DT_SONAME: soname_ = value; break;
            }
        }
    }

    unsigned long base() const { return base_; }
    std::string soname() const { return strings_ + soname_; }
    bool has_unwind_table() const { return has_unwind_table_; }

    template <typename Function>
    Function find(const char* name) const {
        const uint32_t count = hash_ ? hash_[1] : 0;
        for (uint32_t i = 0; i < count; i++) {
            if (strcmp(strings_ + symbols_[i].st_name, name) != 0) continue;
            EXPECT_EQ("LINUX_2.6", version_name(versions_[i] & 0x7fff)) << name;
            return reinterpret_cast<Function>(bias_ + symbols_[i].st_value);
        }
        return nullptr;
    }

  private:
    std::string version_name(int index) const {
        const auto* definition = definitions_;
        for (;;) {
            if (definition->vd_ndx == index) {
                const auto* name = reinterpret_cast<const Elf64_Verdaux*>(
                    reinterpret_cast<const char*>(definition) + definition->vd_aux);
                return strings_ + name->vda_name;
            }
            if (!definition->vd_next) return "";
            definition = reinterpret_cast<const Elf64_Verdef*>(
                reinterpret_cast<const char*>(definition) + definition->vd_next);
        }
    }

    unsigned long base_, bias_ = 0, soname_ = 0;
    const char* strings_ = nullptr;
    const Elf64_Sym* symbols_ = nullptr;
    const uint32_t* hash_ = nullptr;
    const uint16_t* versions_ = nullptr;
    const Elf64_Verdef* definitions_ = nullptr;
    bool has_unwind_table_ = false;
};

long ns(const timespec& time) { return time.tv_sec * 1'000'000'000 + time.tv_nsec; }

TEST(Vdso, IsAnElfFileWithItsName) {
    Vdso vdso;
    ASSERT_NE(0u, vdso.base());
    EXPECT_EQ(0, memcmp(reinterpret_cast<const void*>(vdso.base()), ELFMAG, SELFMAG));
    EXPECT_EQ("linux-vdso.so.1", vdso.soname());
    EXPECT_TRUE(vdso.has_unwind_table());
    for (const char* name : {"clock_gettime", "clock_getres", "gettimeofday", "time", "getcpu"}) {
        EXPECT_NE(nullptr, vdso.find<void*>(name)) << name;
        EXPECT_EQ(vdso.find<void*>(name),
                  vdso.find<void*>((std::string("__vdso_") + name).c_str()));
    }
}

TEST(Vdso, ClockGettimeAgreesWithTheCall) {
    Vdso vdso;
    auto* clock_gettime = vdso.find<int (*)(clockid_t, timespec*)>("__vdso_clock_gettime");
    ASSERT_NE(nullptr, clock_gettime);
    for (clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                            CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME,
                            CLOCK_TAI}) {
        timespec before, here, after;
        ASSERT_EQ(0, syscall(SYS_clock_gettime, clock, &before)) << clock;
        ASSERT_EQ(0, clock_gettime(clock, &here)) << clock;
        ASSERT_EQ(0, syscall(SYS_clock_gettime, clock, &after)) << clock;
        EXPECT_LE(ns(before), ns(here)) << clock;
        EXPECT_LE(ns(here), ns(after)) << clock;
    }
    timespec time;
    EXPECT_EQ(-EINVAL, clock_gettime(77, &time));
}

TEST(Vdso, CoarseClocksLagByATickAtMost) {
    Vdso vdso;
    auto* clock_gettime = vdso.find<int (*)(clockid_t, timespec*)>("__vdso_clock_gettime");
    EXPECT_TRUE(when_calm([&] {
        timespec coarse, fine;
        EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC_COARSE, &coarse));
        EXPECT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &fine));
        EXPECT_LE(ns(coarse), ns(fine));
        return ns(fine) - ns(coarse) < 100'000'000;
    }));
}

TEST(Vdso, NeverGoesBack) {
    Vdso vdso;
    auto* clock_gettime = vdso.find<int (*)(clockid_t, timespec*)>("__vdso_clock_gettime");
    timespec last, now;
    ASSERT_EQ(0, clock_gettime(CLOCK_MONOTONIC, &last));
    for (int i = 0; i < 100'000; i++) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        ASSERT_LE(ns(last), ns(now));
        last = now;
    }
}

TEST(Vdso, ResolutionsAreTheCalls) {
    Vdso vdso;
    auto* clock_getres = vdso.find<int (*)(clockid_t, timespec*)>("__vdso_clock_getres");
    ASSERT_NE(nullptr, clock_getres);
    for (clockid_t clock = CLOCK_REALTIME; clock <= CLOCK_BOOTTIME; clock++) {
        timespec here = {7, 7}, call = {8, 8};
        EXPECT_EQ(syscall(SYS_clock_getres, clock, &call), clock_getres(clock, &here)) << clock;
        EXPECT_EQ(ns(call), ns(here)) << clock;
        EXPECT_EQ(0, clock_getres(clock, nullptr));
    }
    EXPECT_EQ(-EINVAL, clock_getres(77, nullptr));
}

TEST(Vdso, TimeOfDay) {
    Vdso vdso;
    auto* gettimeofday = vdso.find<int (*)(timeval*, struct timezone*)>("__vdso_gettimeofday");
    auto* time = vdso.find<time_t (*)(time_t*)>("__vdso_time");
    ASSERT_NE(nullptr, gettimeofday);
    ASSERT_NE(nullptr, time);
    timespec before, after;
    timeval here;
    struct timezone zone = {77, 77};
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &before);
    ASSERT_EQ(0, gettimeofday(&here, nullptr));
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &after);
    const long microseconds = here.tv_sec * 1'000'000 + here.tv_usec;
    EXPECT_LE(ns(before) / 1000, microseconds);
    EXPECT_LE(microseconds, ns(after) / 1000);
    EXPECT_EQ(0, gettimeofday(nullptr, &zone));
    EXPECT_EQ(0, zone.tz_minuteswest);
    EXPECT_EQ(0, gettimeofday(nullptr, nullptr));

    time_t stored = 0;
    const time_t seconds = time(&stored);
    EXPECT_EQ(seconds, stored);
    EXPECT_GE(seconds, after.tv_sec - 1) << "it goes by the coarse clock";
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &after);
    EXPECT_LE(seconds, after.tv_sec);
}

TEST(Vdso, GetcpuIsTheCpuThatRuns) {
    Vdso vdso;
    auto* getcpu = vdso.find<long (*)(unsigned*, unsigned*, void*)>("__vdso_getcpu");
    ASSERT_NE(nullptr, getcpu);
    cpu_set_t all;
    ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
        unsigned here = 99, node = 99;
        EXPECT_EQ(0, getcpu(&here, &node, nullptr));
        EXPECT_EQ(static_cast<unsigned>(cpu), here);
        EXPECT_EQ(0u, node);
    }
    sched_setaffinity(0, sizeof(all), &all);
    EXPECT_EQ(0, getcpu(nullptr, nullptr, nullptr));
}

}  // namespace
