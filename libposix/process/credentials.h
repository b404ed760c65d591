// Who a process is: user and group ids and capabilities (man 7 credentials, man 7 capabilities).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

constexpr unsigned kCapChown = 0, kCapDacOverride = 1, kCapDacReadSearch = 2, kCapFowner = 3,
                   kCapFsetid = 4, kCapKill = 5, kCapSetgid = 6, kCapSetuid = 7, kCapSetpcap = 8,
                   kCapNetBindService = 10, kCapNetAdmin = 12, kCapNetRaw = 13, kCapIpcLock = 14,
                   kCapSysChroot = 18, kCapSysPtrace = 19, kCapSysAdmin = 21, kCapSysBoot = 22,
                   kCapSysNice = 23, kCapSysResource = 24, kCapSysTime = 25, kCapMknod = 27,
                   kCapSyslog = 34;
constexpr unsigned kLastCapability = 40;  // CAP_CHECKPOINT_RESTORE of Linux 6.1
constexpr uint64_t kAllCapabilities = (uint64_t{1} << (kLastCapability + 1)) - 1;

constexpr size_t kMaxGroups = 65536;  // NGROUPS_MAX

// Supplementary groups, sorted. Never changed once made, so that credentials can share it.
class GroupList : public RefCounted<GroupList> {
  public:
    // Sorts `groups`. ENOMEM.
    static Result<RefPtr<GroupList>> create(std::span<const uint32_t> groups);
    ~GroupList() { delete[] groups_; }

    std::span<const uint32_t> groups() const { return {groups_, count_}; }
    bool contains(uint32_t group) const;

  private:
    friend class RefCounted<GroupList>;
    uint32_t* groups_ = nullptr;
    size_t count_ = 0;
};

struct Credentials {
    uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
    uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
    RefPtr<GroupList> supplementary;  // null: none

    uint64_t permitted = kAllCapabilities, effective = kAllCapabilities;
    uint64_t inheritable = 0, ambient = 0, bounding = kAllCapabilities;
    uint32_t securebits = 0;
    bool no_new_privileges = false;

    // All user ids and group ids at once, without capabilities unless `user` is root.
    static Credentials for_identity(uint32_t user, uint32_t group);

    bool has_capability(unsigned capability) const { return effective >> capability & 1; }
    // Whether a file of this group counts as ours (fsgid or a supplementary group).
    bool in_group(uint32_t group) const;
    // The same for the effective group (getgroups, setgid rules).
    bool in_effective_group(uint32_t group) const;
};

}  // namespace coracle
