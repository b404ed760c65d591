#include "libposix/process/resource_limits.h"

namespace coracle {
namespace {

constexpr uint64_t kMaxOpenFiles = 1048576;  // fs.nr_open

// With RLIMIT_NPROC and RLIMIT_SIGPENDING as Linux computes them for a machine of this kind.
constexpr ResourceLimit kDefaults[kResourceCount] = {
    {kUnlimited, kUnlimited},            // kCpu
    {kUnlimited, kUnlimited},            // kFileSize
    {kUnlimited, kUnlimited},            // kData
    {8 * 1024 * 1024, kUnlimited},       // kStack
    {0, kUnlimited},                     // kCore
    {kUnlimited, kUnlimited},            // kResidentSet
    {4096, 4096},                        // kProcesses
    {1024, kMaxOpenFiles},               // kOpenFiles
    {8 * 1024 * 1024, 8 * 1024 * 1024},  // kLockedMemory
    {kUnlimited, kUnlimited},            // kAddressSpace
    {kUnlimited, kUnlimited},            // kFileLocks
    {4096, 4096},                        // kPendingSignals
    {819200, 819200},                    // kMessageQueues
    {0, 0},                              // kNice
    {0, 0},                              // kRealtimePriority
    {kUnlimited, kUnlimited},            // kRealtimeTime
};

}  // namespace

ResourceLimits::ResourceLimits() {
    for (unsigned i = 0; i < kResourceCount; i++) limits_[i] = kDefaults[i];
}

Result<void> ResourceLimits::set(Resource resource, ResourceLimit limit, bool may_raise) {
    ResourceLimit& current = limits_[static_cast<unsigned>(resource)];
    if (limit.soft > limit.hard) return Error(EINVAL);
    if (resource == Resource::kOpenFiles && limit.hard > kMaxOpenFiles) return Error(EPERM);
    if (limit.hard > current.hard && !may_raise) return Error(EPERM);
    current = limit;
    return {};
}

}  // namespace coracle
