// Which futexes are the same.
#include "kernel-min/lib/user_copy.h"
#include "libposix/process/futex.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

// Shared memory and files are named by what is mapped.
Result<NamedFutex> name_shared(uint64_t address) {
    AddressSpace& space = *current_process()->address_space;
    const Region* region = space.find(address);
    if (!region || region->protection == PROT_NONE) return Error(EFAULT);
    // A private mapping's pages become the process's own, and so does the name.
    if (!region->object || !region->shared) {
        return NamedFutex{FutexKey(FutexKey::kSharedAddress, &space, address), nullptr};
    }
    return NamedFutex{FutexKey(FutexKey::kObject, region->object->identity(),
                               region->object_offset(address)),
                      region->object};
}

Result<FutexKey> private_key(uint64_t address) {
    if (address % sizeof(uint32_t) != 0) return Error(EINVAL);
    if (!is_user_range(address, sizeof(uint32_t))) return Error(EFAULT);
    return FutexKey(FutexKey::kPrivate, current_process()->address_space.get(), address);
}

}  // namespace

Result<NamedFutex> name_futex(FutexWord word) {
    const FutexKey key = TRY(private_key(word.address));
    if (word.scope == FutexScope::kShared) return name_shared(word.address);
    return NamedFutex{key, nullptr};
}

Result<FutexKey> futex_key(FutexWord word) {
    if (word.scope == FutexScope::kPrivate) return private_key(word.address);
    return TRY(name_futex(word)).key;
}

}  // namespace coracle
