// Resource limits (man 2 getrlimit). The defaults are those of a Debian 12 service.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

enum class Resource : unsigned {
    kCpu = 0, kFileSize = 1, kData = 2, kStack = 3, kCore = 4, kResidentSet = 5, kProcesses = 6,
    kOpenFiles = 7, kLockedMemory = 8, kAddressSpace = 9, kFileLocks = 10, kPendingSignals = 11,
    kMessageQueues = 12, kNice = 13, kRealtimePriority = 14, kRealtimeTime = 15,
};
constexpr unsigned kResourceCount = 16;
constexpr uint64_t kUnlimited = ~uint64_t{0};

struct ResourceLimit {  // struct rlimit64
    uint64_t soft;
    uint64_t hard;
};

class ResourceLimits {
  public:
    ResourceLimits();

    const ResourceLimit& operator[](Resource resource) const {
        return limits_[static_cast<unsigned>(resource)];
    }
    uint64_t soft(Resource resource) const { return (*this)[resource].soft; }

    // EINVAL: soft above hard. EPERM: a raised hard limit without `may_raise`
    // (CAP_SYS_RESOURCE), or more open files than fs.nr_open.
    Result<void> set(Resource resource, ResourceLimit limit, bool may_raise);

  private:
    ResourceLimit limits_[kResourceCount];
};

}  // namespace coracle
