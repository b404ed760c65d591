// /sys/devices/system/cpu, and how sets of CPUs are written (Linux: lib/bitmap.c).
#pragma once

#include "libposix/fs/pseudo/pseudo_file_system.h"

namespace coracle {

// Bit n of a set: CPU n. As a mask ("f"), and as a list ("0-3,6").
void add_cpu_mask(TextBuffer& to, uint64_t cpu_set);
void add_cpu_list(TextBuffer& to, uint64_t cpu_set);

// The CPUs that run, as a list ("0-3") and as a mask ("f"), with a newline.
Result<void> show_cpu_list(TextBuffer& to, const PseudoContext&);
Result<void> show_cpu_mask(TextBuffer& to, const PseudoContext&);

extern const PseudoEntry kCpuDirectory;

}  // namespace coracle
