// Which of QEMU's accelerators to use.
#pragma once

#include <functional>
#include <string>

#include "tools/vm/qemu_command.h"

namespace coracle {

// What the choice rests on; a test gives its own.
struct AcceleratorFacts {
    std::string kvm_device = "/dev/kvm";
    std::string cpu_info = "/proc/cpuinfo";
};

// KVM is worth a probe: the device opens, and the CPU itself virtualises (vmx or svm). A /dev/kvm
// on a CPU that shows neither is a software one, slower than TCG or prone to hang.
bool kvm_may_work(const AcceleratorFacts& facts);

// Whether a VM with KVM comes up: the kernel's first word within 3 seconds (StartLimit). The answer
// is kept in `cache_folder` until the kernel or QEMU's program changes, or the host boots again.
bool kvm_boots(VmSettings settings, const std::string& cache_folder);

}  // namespace coracle
