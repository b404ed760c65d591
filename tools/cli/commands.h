// The commands of the host program. Each returns its exit status or throws CommandError.
#pragma once

#include <string>

#include "tools/cli/run_options.h"

namespace coracle {

int run_command(const RunOptions& options);

struct CheckOptions {
    std::string program;
    bool json = false;
    std::string rootfs;
};
int check_command(const CheckOptions& options);

}  // namespace coracle
