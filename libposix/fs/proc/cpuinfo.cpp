// /proc/cpuinfo, from CPUID (Intel SDM 2A, CPUID; AMD APM 3, appendix E). Names of the flags as in
// arch/x86/include/asm/cpufeatures.h of Linux.
#include <cpuid.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/devices/clock_source.h"
#include "libposix/fs/proc/procfs.h"

namespace coracle {
namespace {

struct Leaf {
    uint32_t eax, ebx, ecx, edx;
};

Leaf cpuid(uint32_t leaf, uint32_t subleaf = 0) {
    Leaf result = {};
    __get_cpuid_count(leaf, subleaf, &result.eax, &result.ebx, &result.ecx, &result.edx);
    return result;
}

// Flag names by bit, separated by spaces; "-" for bits that Linux does not show.
constexpr const char* kBasicEdx =
    "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts "
    "acpi mmx fxsr sse sse2 ss ht tm ia64 pbe";
constexpr const char* kBasicEcx =
    "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid "
    "dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave - avx f16c rdrand "
    "hypervisor";
constexpr const char* kExtendedEdx =
    "- - - - - - - - - - - syscall - - - - - - - mp nx - mmxext - - fxsr_opt pdpe1gb rdtscp - lm "
    "3dnowext 3dnow";
constexpr const char* kExtendedEcx =
    "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop "
    "skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc "
    "perfctr_llc mwaitx - -";
constexpr const char* kStructuredEbx =
    "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f "
    "avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd "
    "sha_ni avx512bw avx512vl";
constexpr const char* kStructuredEcx =
    "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 - gfni vaes vpclmulqdq avx512_vnni "
    "avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - "
    "movdiri movdir64b enqcmd sgx_lc -";
constexpr const char* kStructuredEdx =
    "- - avx512_4vnniw avx512_4fmaps fsrm - - - avx512_vp2intersect - md_clear - - - serialize - "
    "tsxldtrk - pconfig arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 - - flush_l1d "
    "arch_capabilities - -";

void add_flags(TextBuffer& to, uint32_t bits, std::string_view names) {
    for (uint32_t bit = 0; bit < 32 && !names.empty(); bit++) {
        std::string_view name = names.substr(0, names.find(' '));
        if ((bits >> bit & 1) && name != "-") {
            to.add(" ");
            to.add(name);
        }
        names.remove_prefix(std::min(name.size() + 1, names.size()));
    }
}

}  // namespace

namespace {

void show_cpu(TextBuffer& to, const Cpu& cpu) {
    Leaf vendor = cpuid(0), basic = cpuid(1), structured = cpuid(7);
    Leaf extended = cpuid(0x80000001), sizes = cpuid(0x80000008);
    char vendor_text[13] = {};
    memcpy(vendor_text, &vendor.ebx, 4);
    memcpy(vendor_text + 4, &vendor.edx, 4);
    memcpy(vendor_text + 8, &vendor.ecx, 4);
    char model_text[49] = {};
    for (uint32_t i = 0; i < 3; i++) {
        Leaf part = cpuid(0x80000002 + i);
        memcpy(model_text + i * 16, &part, 16);
    }
    const char* model_name = model_text;
    while (*model_name == ' ') model_name++;
    uint32_t family = basic.eax >> 8 & 15, model = basic.eax >> 4 & 15;
    if (family == 6 || family == 15) model |= basic.eax >> 12 & 0xf0;
    if (family == 15) family += basic.eax >> 20 & 0xff;
    constexpr uint64_t kTicks = uint64_t{1} << 30;
    uint64_t khz = kTicks * 1000000 / std::max<uint64_t>(tsc_to_ns(kTicks), 1);

    to.print("processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", cpu.id,
             vendor_text, family, model);
    to.print("model name\t: %s\nstepping\t: %u\nmicrocode\t: 0x1\n", model_name, basic.eax & 15);
    to.print("cpu MHz\t\t: %lu.%03lu\n", khz / 1000, khz % 1000);
    to.print("physical id\t: %u\nsiblings\t: 1\ncore id\t\t: 0\ncpu cores\t: 1\n", cpu.id);
    to.print("apicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\nfpu_exception\t: yes\n",
             cpu.apic_id, cpu.apic_id);
    to.print("cpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", vendor.eax);
    add_flags(to, basic.edx, kBasicEdx);
    add_flags(to, extended.edx, kExtendedEdx);
    add_flags(to, basic.ecx, kBasicEcx);
    add_flags(to, extended.ecx, kExtendedEcx);
    // FSGSBASE belongs to the kernel: programs must not be told that they may use it.
    add_flags(to, structured.ebx & ~1u, kStructuredEbx);
    add_flags(to, structured.ecx, kStructuredEcx);
    add_flags(to, structured.edx, kStructuredEdx);
    to.print("\nbugs\t\t:\nbogomips\t: %lu.%02lu\nclflush size\t: %u\n", khz * 2 / 1000,
             khz * 2 / 10 % 100, (basic.ebx >> 8 & 0xff) * 8);
    to.print("cache_alignment\t: %u\naddress sizes\t: %u bits physical, %u bits virtual\n",
             (basic.ebx >> 8 & 0xff) * 8, sizes.eax & 0xff, sizes.eax >> 8 & 0xff);
    to.print("power management:\n\n");
}

}  // namespace

Result<void> show_cpuinfo(TextBuffer& to, const PseudoContext&) {
    for (unsigned i = 0; i < cpu_count; i++) show_cpu(to, *cpus[i]);
    return {};
}

}  // namespace coracle
