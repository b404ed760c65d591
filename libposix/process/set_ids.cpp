#include "libposix/process/set_ids.h"

#include <initializer_list>

namespace coracle {
namespace {

bool is_one_of(uint32_t id, std::initializer_list<uint32_t> ids) {
    for (uint32_t candidate : ids) {
        if (candidate == id) return true;
    }
    return false;
}

// A process that gives up user 0 gives up its capabilities (securebits: SECBIT_NO_SETUID_FIXUP).
void fix_capabilities(const Credentials& old, Credentials& now) {
    constexpr uint32_t kNoSetuidFixup = 1 << 2;
    if (old.securebits & kNoSetuidFixup) return;
    const bool was_root = is_one_of(0, {old.uid, old.euid, old.suid});
    const bool is_root = is_one_of(0, {now.uid, now.euid, now.suid});
    if (was_root && !is_root) {
        if (!old.keep_capabilities) now.permitted = now.effective = 0;
        now.ambient = 0;
    }
    if (old.euid == 0 && now.euid != 0) now.effective = 0;
    if (old.euid != 0 && now.euid == 0) now.effective = now.permitted;
}

void adopt_uids(Credentials& credentials, Credentials now) {
    now.fsuid = now.euid;
    fix_capabilities(credentials, now);
    credentials = now;
}

void adopt_gids(Credentials& credentials, Credentials now) {
    now.fsgid = now.egid;
    credentials = now;
}

}  // namespace

Result<void> set_uid(Credentials& credentials, uint32_t uid) {
    if (uid == kNoId) return Error(EINVAL);
    Credentials now = credentials;
    if (credentials.has_capability(kCapSetuid)) {
        now.uid = now.suid = uid;
    } else if (!is_one_of(uid, {credentials.uid, credentials.suid})) {
        return Error(EPERM);
    }
    now.euid = uid;
    adopt_uids(credentials, now);
    return {};
}

Result<void> set_reuid(Credentials& credentials, uint32_t ruid, uint32_t euid) {
    const Credentials& old = credentials;
    const bool may = old.has_capability(kCapSetuid);
    Credentials now = old;
    if (ruid != kNoId) {
        if (!may && !is_one_of(ruid, {old.uid, old.euid})) return Error(EPERM);
        now.uid = ruid;
    }
    if (euid != kNoId) {
        if (!may && !is_one_of(euid, {old.uid, old.euid, old.suid})) return Error(EPERM);
        now.euid = euid;
    }
    if (ruid != kNoId || (euid != kNoId && euid != old.uid)) now.suid = now.euid;
    adopt_uids(credentials, now);
    return {};
}

Result<void> set_resuid(Credentials& credentials, uint32_t ruid, uint32_t euid, uint32_t suid) {
    const Credentials& old = credentials;
    const bool may = old.has_capability(kCapSetuid);
    for (uint32_t id : {ruid, euid, suid}) {
        if (id != kNoId && !may && !is_one_of(id, {old.uid, old.euid, old.suid})) {
            return Error(EPERM);
        }
    }
    Credentials now = old;
    if (ruid != kNoId) now.uid = ruid;
    if (euid != kNoId) now.euid = euid;
    if (suid != kNoId) now.suid = suid;
    adopt_uids(credentials, now);
    return {};
}

Result<void> set_gid(Credentials& credentials, uint32_t gid) {
    if (gid == kNoId) return Error(EINVAL);
    Credentials now = credentials;
    if (credentials.has_capability(kCapSetgid)) {
        now.gid = now.sgid = gid;
    } else if (!is_one_of(gid, {credentials.gid, credentials.sgid})) {
        return Error(EPERM);
    }
    now.egid = gid;
    adopt_gids(credentials, now);
    return {};
}

Result<void> set_regid(Credentials& credentials, uint32_t rgid, uint32_t egid) {
    const Credentials& old = credentials;
    const bool may = old.has_capability(kCapSetgid);
    Credentials now = old;
    if (rgid != kNoId) {
        if (!may && !is_one_of(rgid, {old.gid, old.egid})) return Error(EPERM);
        now.gid = rgid;
    }
    if (egid != kNoId) {
        if (!may && !is_one_of(egid, {old.gid, old.egid, old.sgid})) return Error(EPERM);
        now.egid = egid;
    }
    if (rgid != kNoId || (egid != kNoId && egid != old.gid)) now.sgid = now.egid;
    adopt_gids(credentials, now);
    return {};
}

Result<void> set_resgid(Credentials& credentials, uint32_t rgid, uint32_t egid, uint32_t sgid) {
    const Credentials& old = credentials;
    const bool may = old.has_capability(kCapSetgid);
    for (uint32_t id : {rgid, egid, sgid}) {
        if (id != kNoId && !may && !is_one_of(id, {old.gid, old.egid, old.sgid})) {
            return Error(EPERM);
        }
    }
    Credentials now = old;
    if (rgid != kNoId) now.gid = rgid;
    if (egid != kNoId) now.egid = egid;
    if (sgid != kNoId) now.sgid = sgid;
    adopt_gids(credentials, now);
    return {};
}

uint32_t set_fsuid(Credentials& credentials, uint32_t uid) {
    const uint32_t old = credentials.fsuid;
    const bool may =
        credentials.has_capability(kCapSetuid) ||
        is_one_of(uid, {credentials.uid, credentials.euid, credentials.suid, credentials.fsuid});
    if (uid == kNoId || !may) return old;
    if (old == 0 && uid != 0) credentials.effective &= ~kFileCapabilities;
    if (old != 0 && uid == 0) credentials.effective |= credentials.permitted & kFileCapabilities;
    credentials.fsuid = uid;
    return old;
}

uint32_t set_fsgid(Credentials& credentials, uint32_t gid) {
    const uint32_t old = credentials.fsgid;
    const bool may =
        credentials.has_capability(kCapSetgid) ||
        is_one_of(gid, {credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid});
    if (gid != kNoId && may) credentials.fsgid = gid;
    return old;
}

}  // namespace coracle
