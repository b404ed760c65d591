// Decides what a root image holds, from what is to be run in it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tools/image/closure.h"
#include "tools/image/guest_files.h"
#include "tools/image/manifest.h"
#include "tools/image/program.h"

namespace coracle {

struct Volume {
    std::string host;   // Absolute host path.
    std::string guest;  // Absolute guest path.
    bool read_only = false;
};

struct RootRequest {
    Program program;
    std::string rootfs;  // Host folder to use as it is; empty: gather what is needed.
    std::vector<Volume> volumes;
    std::map<std::string, std::string> environment;  // Of the program.
    bool own_libc = false;
    GuestIdentity identity;
};

struct RootPlan {
    Manifest manifest;
    bool own_libc = false;  // As asked, or because the program needs a newer glibc.
    std::vector<std::string> packages;
    // Host files that the decision rests on beside the manifest's own.
    std::vector<std::string> inputs;
};

// Throws CommandError (127) when a library is missing.
RootPlan plan_root(const RootRequest& request);

// The options of ld.so that the program's environment sets.
ClosureOptions closure_options(const std::map<std::string, std::string>& environment,
                               bool own_libc);

}  // namespace coracle
