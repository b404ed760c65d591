#include "elf-loader/dynamic/tls_descriptors.h"

#include <cpuid.h>

// For tlsdesc_dynamic in start.S.
extern "C" {
__attribute__((visibility("hidden"))) uint64_t tlsdesc_save_size = 512;
__attribute__((visibility("hidden"))) uint32_t tlsdesc_has_xsave = 0;
}

namespace coracle::loader {

void prepare_tls_descriptors() {
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & bit_OSXSAVE) == 0) return;
    // EBX of leaf 13: the bytes that xsave writes for all features that are switched on.
    if (!__get_cpuid_count(13, 0, &eax, &ebx, &ecx, &edx)) return;
    tlsdesc_save_size = (ebx + 63) & ~63U;
    tlsdesc_has_xsave = 1;
}

}  // namespace coracle::loader
