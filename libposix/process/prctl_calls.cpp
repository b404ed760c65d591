// prctl. Options of other architectures and of features that are not there are EINVAL, as on a
// Linux without them.
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/securebits.h>

#include <cstring>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

using Arguments = const unsigned long (&)[4];  // arg2 to arg5

bool are_zero(Arguments arguments, unsigned from) {
    for (unsigned i = from - 2; i < 4; i++) {
        if (arguments[i] != 0) return false;
    }
    return true;
}

Result<long> write_int(unsigned long address, int value) {
    TRY(UserOut<int>(address).write(value));
    return 0;
}

Result<long> set_name(unsigned long address) {
    char name[sizeof(Process::name)] = {};
    // Cut after 15 bytes, so a name without an end is no error.
    const long length = copy_string_from_user(name, address, sizeof(name) - 1);
    if (length == -EFAULT) return Error(EFAULT);
    memcpy(thread_name(*current_thread()), name, sizeof(name));
    return 0;
}

Result<long> get_name(unsigned long address) {
    const auto& name = thread_name(*current_thread());
    if (!copy_to_user(address, name, sizeof(name))) return Error(EFAULT);
    return 0;
}

Result<long> set_dumpable(Process& process, unsigned long value) {
    if (value > 1) return Error(EINVAL);
    process.dumpable = value;
    return 0;
}

Result<long> set_parent_death_signal(Process& process, unsigned long signo) {
    if (signo > kSignalCount) return Error(EINVAL);
    process.parent_death_signal = static_cast<int>(signo);
    return 0;
}

Result<long> set_keep_capabilities(Credentials& own, unsigned long value) {
    if (value > 1) return Error(EINVAL);
    if (own.securebits & SECBIT_KEEP_CAPS_LOCKED) return Error(EPERM);
    own.keep_capabilities = value;
    return 0;
}

Result<long> set_securebits(Credentials& own, unsigned long value) {
    const uint32_t locked = (own.securebits & SECURE_ALL_LOCKS) >> 1;
    const bool changes_locked = (value ^ own.securebits) & locked;
    const bool unlocks = own.securebits & SECURE_ALL_LOCKS & ~value;
    const bool is_unknown = value & ~uint64_t{SECURE_ALL_LOCKS | SECURE_ALL_BITS};
    if (changes_locked || unlocks || is_unknown || !own.has_capability(kCapSetpcap)) {
        return Error(EPERM);
    }
    own.securebits = static_cast<uint32_t>(value);
    own.keep_capabilities = value & SECBIT_KEEP_CAPS;
    return 0;
}

long get_securebits(const Credentials& own) {
    return own.securebits | (own.keep_capabilities ? SECBIT_KEEP_CAPS : 0);
}

Result<long> read_bounding_set(const Credentials& own, unsigned long capability) {
    if (capability > kLastCapability) return Error(EINVAL);
    return static_cast<long>(own.bounding >> capability & 1);
}

Result<long> drop_from_bounding_set(Credentials& own, unsigned long capability) {
    if (!own.has_capability(kCapSetpcap)) return Error(EPERM);
    if (capability > kLastCapability) return Error(EINVAL);
    own.bounding &= ~(uint64_t{1} << capability);
    return 0;
}

// man 7 capabilities, "Ambient capability set".
Result<long> change_ambient_set(Credentials& own, Arguments arguments) {
    const unsigned long operation = arguments[0], capability = arguments[1];
    if (operation == PR_CAP_AMBIENT_CLEAR_ALL) {
        if (!are_zero(arguments, 3)) return Error(EINVAL);
        own.ambient = 0;
        return 0;
    }
    if (!are_zero(arguments, 4) || capability > kLastCapability) return Error(EINVAL);
    const uint64_t bit = uint64_t{1} << capability;
    switch (operation) {
        case PR_CAP_AMBIENT_IS_SET:
            return own.ambient & bit ? 1 : 0;
        case PR_CAP_AMBIENT_RAISE:
            if (!(own.permitted & own.inheritable & bit)) return Error(EPERM);
            if (own.securebits & SECBIT_NO_CAP_AMBIENT_RAISE) return Error(EPERM);
            own.ambient |= bit;
            return 0;
        case PR_CAP_AMBIENT_LOWER:
            own.ambient &= ~bit;
            return 0;
        default:
            return Error(EINVAL);
    }
}

Result<long> set_no_new_privileges(Credentials& own, Arguments arguments) {
    if (arguments[0] != 1 || !are_zero(arguments, 3)) return Error(EINVAL);
    own.no_new_privileges = true;
    return 0;
}

void set_timer_slack(ThreadState& state, unsigned long nanoseconds) {
    state.timer_slack_ns = nanoseconds ? nanoseconds : kDefaultTimerSlackNs;
}

}  // namespace

Result<long> sys_prctl(int option, unsigned long arg2, unsigned long arg3, unsigned long arg4,
                       unsigned long arg5) {
    const unsigned long arguments[4] = {arg2, arg3, arg4, arg5};
    Process& process = *current_process();
    ThreadState& state = *current_thread()->state;
    Credentials& own = process.credentials;
    switch (option) {
        case PR_SET_NAME:
            return set_name(arg2);
        case PR_GET_NAME:
            return get_name(arg2);
        case PR_SET_PDEATHSIG:
            return set_parent_death_signal(process, arg2);
        case PR_GET_PDEATHSIG:
            return write_int(arg2, process.parent_death_signal);
        case PR_SET_DUMPABLE:
            return set_dumpable(process, arg2);
        case PR_GET_DUMPABLE:
            return process.dumpable;
        case PR_SET_KEEPCAPS:
            return set_keep_capabilities(own, arg2);
        case PR_GET_KEEPCAPS:
            return own.keep_capabilities;
        case PR_SET_SECUREBITS:
            return set_securebits(own, arg2);
        case PR_GET_SECUREBITS:
            return get_securebits(own);
        case PR_CAPBSET_READ:
            return read_bounding_set(own, arg2);
        case PR_CAPBSET_DROP:
            return drop_from_bounding_set(own, arg2);
        case PR_CAP_AMBIENT:
            return change_ambient_set(own, arguments);
        case PR_SET_NO_NEW_PRIVS:
            return set_no_new_privileges(own, arguments);
        case PR_GET_NO_NEW_PRIVS:
            if (!are_zero(arguments, 2)) return Error(EINVAL);
            return own.no_new_privileges;
        case PR_SET_CHILD_SUBREAPER:
            process.is_child_subreaper = arg2;
            return 0;
        case PR_GET_CHILD_SUBREAPER:
            return write_int(arg2, process.is_child_subreaper);
        case PR_SET_THP_DISABLE:
            if (!are_zero(arguments, 3)) return Error(EINVAL);
            process.has_huge_pages_disabled = arg2;
            return 0;
        case PR_GET_THP_DISABLE:
            if (!are_zero(arguments, 2)) return Error(EINVAL);
            return process.has_huge_pages_disabled;
        case PR_SET_TIMERSLACK:
            set_timer_slack(state, arg2);
            return 0;
        case PR_GET_TIMERSLACK:
            return static_cast<long>(state.timer_slack_ns);
        case PR_GET_TIMING:
            return PR_TIMING_STATISTICAL;
        case PR_SET_TIMING:
            if (arg2 != PR_TIMING_STATISTICAL) return Error(EINVAL);
            return 0;
        case PR_GET_TSC:
            return write_int(arg2, PR_TSC_ENABLE);
        case PR_SET_TSC:
            if (arg2 != PR_TSC_ENABLE) return Error(EINVAL);
            return 0;
        case PR_GET_SECCOMP:
            return 0;
        case PR_MCE_KILL_GET:
            if (!are_zero(arguments, 2)) return Error(EINVAL);
            return PR_MCE_KILL_DEFAULT;
        case PR_GET_TID_ADDRESS:
            TRY(UserOut<uint64_t>(arg2).write(state.clear_child_tid));
            return 0;
        default:
            return Error(EINVAL);
    }
}

}  // namespace coracle
