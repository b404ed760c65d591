// getuid, setuid and their relatives, getgroups, setgroups.
#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "libposix/process/set_ids.h"
#include "libposix/process/vdso.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

Credentials& credentials() { return current_process()->credentials; }

// A process that changed who it is can no longer be looked into by who it was.
Result<long> after_change(const Result<void>& changed, uint32_t old_euid, uint32_t old_egid) {
    if (!changed.ok()) return changed.error();
    Process& process = *current_process();
    if (process.credentials.euid != old_euid || process.credentials.egid != old_egid) {
        process.dumpable = false;
        process.parent_death_signal = 0;
    }
    update_process_page(process);
    return 0;
}

template <typename... Ids>
Result<long> change(Result<void> (*rule)(Credentials&, Ids...), Ids... ids) {
    const uint32_t old_euid = credentials().euid, old_egid = credentials().egid;
    return after_change(rule(credentials(), ids...), old_euid, old_egid);
}

Result<long> write_three(UserOut<unsigned int> first, UserOut<unsigned int> second,
                         UserOut<unsigned int> third, uint32_t a, uint32_t b, uint32_t c) {
    TRY(first.write(a));
    TRY(second.write(b));
    TRY(third.write(c));
    return 0;
}

}  // namespace

Result<long> sys_getuid() { return credentials().uid; }
Result<long> sys_geteuid() { return credentials().euid; }
Result<long> sys_getgid() { return credentials().gid; }
Result<long> sys_getegid() { return credentials().egid; }

Result<long> sys_getresuid(UserOut<unsigned int> ruid, UserOut<unsigned int> euid,
                           UserOut<unsigned int> suid) {
    const Credentials& own = credentials();
    return write_three(ruid, euid, suid, own.uid, own.euid, own.suid);
}

Result<long> sys_getresgid(UserOut<unsigned int> rgid, UserOut<unsigned int> egid,
                           UserOut<unsigned int> sgid) {
    const Credentials& own = credentials();
    return write_three(rgid, egid, sgid, own.gid, own.egid, own.sgid);
}

Result<long> sys_setuid(unsigned int uid) { return change(set_uid, uid); }
Result<long> sys_setgid(unsigned int gid) { return change(set_gid, gid); }
Result<long> sys_setreuid(unsigned int ruid, unsigned int euid) {
    return change(set_reuid, ruid, euid);
}
Result<long> sys_setregid(unsigned int rgid, unsigned int egid) {
    return change(set_regid, rgid, egid);
}
Result<long> sys_setresuid(unsigned int ruid, unsigned int euid, unsigned int suid) {
    return change(set_resuid, ruid, euid, suid);
}
Result<long> sys_setresgid(unsigned int rgid, unsigned int egid, unsigned int sgid) {
    return change(set_resgid, rgid, egid, sgid);
}
Result<long> sys_setfsuid(unsigned int uid) { return set_fsuid(credentials(), uid); }
Result<long> sys_setfsgid(unsigned int gid) { return set_fsgid(credentials(), gid); }

Result<long> sys_getgroups(int size, UserOut<unsigned int> groups) {
    if (size < 0) return Error(EINVAL);
    const RefPtr<GroupList> list = credentials().supplementary;
    if (!list) return 0;
    const auto count = static_cast<int>(list->groups().size());
    if (size == 0) return count;
    if (count > size) return Error(EINVAL);
    TRY(groups.write_array(list->groups().data(), list->groups().size()));
    return count;
}

Result<long> sys_setgroups(int size, UserIn<unsigned int> groups) {
    if (!credentials().has_capability(kCapSetgid)) return Error(EPERM);
    const auto count = static_cast<unsigned>(size);
    if (count > kMaxGroups) return Error(EINVAL);
    RefPtr<GroupList> list = TRY(GroupList::create(count, [&](uint32_t* to) -> Result<void> {
        TRY(groups.read_array(to, count));
        for (unsigned i = 0; i < count; i++) {
            if (to[i] == kNoId) return Error(EINVAL);
        }
        return {};
    }));
    credentials().supplementary = std::move(list);
    return 0;
}

}  // namespace coracle
