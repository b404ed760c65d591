#include "libposix/fs/permission.h"

namespace coracle {

Result<void> check_permission(const Inode& inode, uint32_t wanted, const Credentials& who) {
    uint32_t granted = inode.mode & 7;
    if (who.fsuid == inode.uid) {
        granted = inode.mode >> 6 & 7;
    } else if (who.in_group(inode.gid)) {
        granted = inode.mode >> 3 & 7;
    }
    if ((wanted & ~granted) == 0) return {};

    if (inode.is_directory()) {
        if (who.has_capability(kCapDacOverride)) return {};
        if (!(wanted & kMayWrite) && who.has_capability(kCapDacReadSearch)) return {};
        return Error(EACCES);
    }
    if (wanted == kMayRead && who.has_capability(kCapDacReadSearch)) return {};
    // Not even root executes a file without an x bit.
    bool executable = (inode.mode & 0111) != 0;
    if ((!(wanted & kMayExecute) || executable) && who.has_capability(kCapDacOverride)) return {};
    return Error(EACCES);
}

bool is_owner_or_capable(const Inode& inode, const Credentials& who) {
    return who.fsuid == inode.uid || who.has_capability(kCapFowner);
}

Result<void> check_removal(const Inode& directory, const Inode& victim, const Credentials& who) {
    TRY(check_permission(directory, kMayWrite | kMayExecute, who));
    if ((directory.mode & S_ISVTX) && who.fsuid != victim.uid && who.fsuid != directory.uid &&
        !who.has_capability(kCapFowner)) {
        return Error(EPERM);
    }
    return {};
}

}  // namespace coracle
