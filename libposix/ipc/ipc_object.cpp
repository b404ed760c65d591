#include "libposix/ipc/ipc_object.h"

#include <cstring>

#include "libposix/process/process.h"
#include "libposix/time/clock.h"

namespace coracle {

void IpcObject::set_creator(int32_t object_key, int flags) {
    const Credentials& who = current_credentials();
    key = object_key;
    mode = static_cast<uint32_t>(flags) & 0777;
    uid = creator_uid = who.euid;
    gid = creator_gid = who.egid;
}

Result<void> IpcObject::check_access(uint32_t wanted) const {
    const Credentials& who = current_credentials();
    uint32_t granted = mode & 7;
    if (who.euid == uid || who.euid == creator_uid) {
        granted = mode >> 6 & 7;
    } else if (who.in_effective_group(gid) || who.in_effective_group(creator_gid)) {
        granted = mode >> 3 & 7;
    }
    if ((wanted & ~granted) != 0 && !who.has_capability(kCapIpcOwner)) return Error(EACCES);
    return {};
}

Result<void> IpcObject::check_owner() const {
    const Credentials& who = current_credentials();
    if (who.euid == uid || who.euid == creator_uid) return {};
    // Linux asks for CAP_SYS_ADMIN; who owns all IPC objects may as well do that here.
    if (who.has_capability(kCapSysAdmin) || who.has_capability(kCapIpcOwner)) return {};
    return Error(EPERM);
}

void IpcObject::fill(ipc_perm& to) const {
    memset(&to, 0, sizeof(to));
    to.__key = key;
    to.uid = uid;
    to.gid = gid;
    to.cuid = creator_uid;
    to.cgid = creator_gid;
    to.mode = static_cast<decltype(to.mode)>(mode);
    to.__seq = static_cast<decltype(to.__seq)>(sequence());
}

Result<void> IpcObject::change(const ipc_perm& to) {
    if (to.uid == ~0u || to.gid == ~0u) return Error(EINVAL);
    uid = to.uid;
    gid = to.gid;
    mode = to.mode & 0777;
    return {};
}

int64_t ipc_time() {
    return current_time().tv_sec;
}

int32_t ipc_pid() {
    return static_cast<int32_t>(current_process()->pid);
}

}  // namespace coracle
