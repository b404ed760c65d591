// capget, capset.
#include <linux/capability.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

using Header = struct __user_cap_header_struct;
using Data = struct __user_cap_data_struct;

// How many Data structures go with the header's version. For an unknown one EINVAL, and the
// program is told which one to use.
Result<unsigned> data_count(UserInOut<Header> header) {
    const Header value = TRY(header.read());
    switch (value.version) {
        case _LINUX_CAPABILITY_VERSION_1:
            return _LINUX_CAPABILITY_U32S_1;
        case _LINUX_CAPABILITY_VERSION_2:
        case _LINUX_CAPABILITY_VERSION_3:
            return _LINUX_CAPABILITY_U32S_3;
    }
    TRY(UserOut<uint32_t>(header.address()).write(_LINUX_CAPABILITY_VERSION_3));
    return Error(EINVAL);
}

bool is_self(int pid) { return pid == 0 || static_cast<uint32_t>(pid) == current_process()->pid; }

uint32_t half(uint64_t set, unsigned index) { return static_cast<uint32_t>(set >> (32 * index)); }

}  // namespace

Result<long> sys_capget(UserInOut<Header> header, UserOut<Data> data) {
    auto count = data_count(header);
    if (!count.ok()) {
        const bool asks_for_version = !data && count.error_code() == EINVAL;
        if (asks_for_version) return 0;
        return count.error();
    }
    if (!data) return 0;
    const int pid = TRY(header.read()).pid;
    if (pid < 0) return Error(EINVAL);
    if (!is_self(pid)) return Error(ESRCH);

    const Credentials& own = current_process()->credentials;
    for (unsigned i = 0; i < count.value(); i++) {
        const Data piece = {half(own.effective, i), half(own.permitted, i),
                            half(own.inheritable, i)};
        TRY(data.write(piece, i));
    }
    return 0;
}

Result<long> sys_capset(UserInOut<Header> header, UserIn<Data> data) {
    const unsigned count = TRY(data_count(header));
    if (!is_self(TRY(header.read()).pid)) return Error(EPERM);
    uint64_t effective = 0, permitted = 0, inheritable = 0;
    for (unsigned i = 0; i < count; i++) {
        const Data piece = TRY(data.read(i));
        effective |= uint64_t{piece.effective} << (32 * i);
        permitted |= uint64_t{piece.permitted} << (32 * i);
        inheritable |= uint64_t{piece.inheritable} << (32 * i);
    }
    constexpr uint64_t kKnown = (uint64_t{1} << (kLastCapability + 1)) - 1;
    effective &= kKnown;
    permitted &= kKnown;
    inheritable &= kKnown;

    // man 7 capabilities, "Programmatically adjusting capability sets".
    Credentials& own = current_process()->credentials;
    const bool is_capped = !own.has_capability(kCapSetpcap);
    if (is_capped && (inheritable & ~(own.inheritable | own.permitted))) return Error(EPERM);
    if (inheritable & ~(own.inheritable | own.bounding)) return Error(EPERM);
    if (permitted & ~own.permitted) return Error(EPERM);
    if (effective & ~permitted) return Error(EPERM);
    own.effective = effective;
    own.permitted = permitted;
    own.inheritable = inheritable;
    own.ambient &= permitted & inheritable;
    return 0;
}

}  // namespace coracle
