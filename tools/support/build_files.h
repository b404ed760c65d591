#pragma once

#include <string>

namespace coracle {

// A file of the build that this program is part of, such as "kernel-min/coracle-kernel.elf".
std::string build_file(const std::string& name);

}  // namespace coracle
