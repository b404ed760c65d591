// The QEMU command line of a virtual machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/vm/network.h"

namespace coracle {

enum class Machine { kMicrovm, kQ35 };
enum class Accelerator { kTcg, kKvm };

struct VmSettings {
    std::string kernel;
    std::string root_image;  // Empty: none.
    std::string append;      // Kernel command line, beyond what QEMU adds.
    uint64_t memory_bytes = 256 << 20;
    unsigned cpus = 1;
    Machine machine = Machine::kMicrovm;
    Accelerator accelerator = Accelerator::kTcg;
    int gdb_port = 0;  // 0: no debugger.
    NetworkSettings network;
};

// Descriptors that QEMU inherits, beside standard error.
constexpr int kChannelFd = 3;
constexpr int kSerialFd = 4;

// The program to start: $CORACLE_QEMU, or qemu-system-x86_64 of $PATH.
std::string qemu_program();

// argv. $CORACLE_QEMU_ARGS is appended, split at spaces.
std::vector<std::string> qemu_command(const VmSettings& settings);

// The words as a shell would take them.
std::string shell_quote(const std::vector<std::string>& words);

}  // namespace coracle
