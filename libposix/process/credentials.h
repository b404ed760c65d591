// Who a process is: user and group ids and capabilities (man 7 credentials, man 7 capabilities).
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

enum Capability : unsigned {
    kCapChown = 0, kCapDacOverride = 1, kCapDacReadSearch = 2, kCapFowner = 3, kCapFsetid = 4,
    kCapKill = 5, kCapSetgid = 6, kCapSetuid = 7, kCapSetpcap = 8, kCapLinuxImmutable = 9,
    kCapNetBindService = 10, kCapNetBroadcast = 11, kCapNetAdmin = 12, kCapNetRaw = 13,
    kCapIpcLock = 14, kCapIpcOwner = 15, kCapSysChroot = 18, kCapSysAdmin = 21, kCapSysNice = 23,
    kCapSysResource = 24, kCapSysTime = 25, kCapMknod = 27, kCapLease = 28, kCapSetfcap = 31,
    kCapMacOverride = 32, kCapWakeAlarm = 35,
};
constexpr unsigned kLastCapability = 40;  // CAP_CHECKPOINT_RESTORE of Linux 6.1

constexpr uint64_t capability_set(std::initializer_list<Capability> capabilities) {
    uint64_t set = 0;
    for (Capability capability : capabilities) set |= uint64_t{1} << capability;
    return set;
}

// What root may do here, as in a container: no mounts, modules, raw I/O, tracing, reboot. The
// calls that need more say EPERM.
constexpr uint64_t kRootCapabilities = capability_set(
    {kCapChown, kCapDacOverride, kCapDacReadSearch, kCapFowner, kCapFsetid, kCapKill, kCapSetgid,
     kCapSetuid, kCapSetpcap, kCapNetBindService, kCapNetBroadcast, kCapNetAdmin, kCapNetRaw,
     kCapIpcLock, kCapIpcOwner, kCapSysNice, kCapSysResource, kCapSysTime, kCapMknod, kCapLease,
     kCapSetfcap});

// Those that go with the file-system user id (setfsuid(2)).
constexpr uint64_t kFileCapabilities =
    capability_set({kCapChown, kCapMknod, kCapDacOverride, kCapDacReadSearch, kCapFowner,
                    kCapFsetid, kCapLinuxImmutable, kCapMacOverride});

constexpr size_t kMaxGroups = 65536;  // NGROUPS_MAX

// Supplementary groups, sorted. Never changed once made, so that credentials can share it.
class GroupList : public RefCounted<GroupList> {
  public:
    // A list of `count` groups that `fill` writes: Result<void> fill(uint32_t* to). ENOMEM, and
    // fill's errors.
    template <typename Fill>
    static Result<RefPtr<GroupList>> create(size_t count, Fill fill) {
        RefPtr<GroupList> list = TRY(allocate(count));
        TRY(fill(list->groups_));
        list->sort();
        return list;
    }
    ~GroupList() { delete[] groups_; }

    std::span<const uint32_t> groups() const { return {groups_, count_}; }
    bool contains(uint32_t group) const;

  private:
    static Result<RefPtr<GroupList>> allocate(size_t count);
    void sort();

    uint32_t* groups_ = nullptr;
    size_t count_ = 0;
};

struct Credentials {
    uint32_t uid = 0, euid = 0, suid = 0, fsuid = 0;
    uint32_t gid = 0, egid = 0, sgid = 0, fsgid = 0;
    RefPtr<GroupList> supplementary;  // null: none

    uint64_t permitted = kRootCapabilities, effective = kRootCapabilities;
    uint64_t inheritable = 0, ambient = 0, bounding = kRootCapabilities;
    uint32_t securebits = 0;
    bool keep_capabilities = false;  // PR_SET_KEEPCAPS
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
