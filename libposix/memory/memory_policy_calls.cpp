// get_mempolicy(2), set_mempolicy(2), mbind(2), on a machine with one memory node: a policy is
// checked and kept, and every page comes from node 0 whatever it says.
#include <linux/mempolicy.h>

#include "libposix/memory/memory_calls.h"
#include "syscall-table/handlers.h"

namespace coracle {

namespace {

constexpr unsigned long kMaxNodeBits = kPageSize * 8;

// Clears the `bits` of a node mask but for `nodes`, the first 64.
Result<void> write_nodes(UserOut<unsigned long> mask, unsigned long bits, uint64_t nodes) {
    if (!mask) return {};
    if (bits < 2) return Error(EINVAL);  // as many as there are nodes, and one more
    uint64_t bytes = (bits - 1 + 63) / 64 * 8;
    if (bytes > kPageSize) return Error(EINVAL);
    TRY(mask.write(nodes));
    if (bytes > 8 && !clear_user(mask.address() + 8, bytes - 8)) return Error(EFAULT);
    return {};
}

// The first 64 nodes of a mask; a node that does not exist is EINVAL.
Result<uint64_t> read_nodes(UserIn<unsigned long> mask, unsigned long bits) {
    if (!mask || bits <= 1) return uint64_t{0};
    bits--;  // Linux has counted from one for ever
    if (bits > kMaxNodeBits) return Error(EINVAL);
    uint64_t nodes = 0;
    for (unsigned long at = 0; at < bits; at += 64) {
        uint64_t word = TRY(mask.read(at / 64));
        if (bits - at < 64) word &= (uint64_t{1} << (bits - at)) - 1;
        if (at == 0)
            nodes = word;
        else if (word != 0)
            return Error(EINVAL);
    }
    return nodes;
}

Result<MemoryPolicy> read_policy(int mode, UserIn<unsigned long> mask, unsigned long bits) {
    constexpr int kModeFlags = MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES;
    uint64_t nodes = TRY(read_nodes(mask, bits));
    int kind = mode & ~kModeFlags;
    if ((mode & kModeFlags) == kModeFlags || kind < 0 || kind > MPOL_PREFERRED_MANY) {
        return Error(EINVAL);
    }
    bool takes_nodes = kind != MPOL_DEFAULT && kind != MPOL_LOCAL;
    if (!takes_nodes && (nodes != 0 || (mode & kModeFlags))) return Error(EINVAL);
    // An empty set means the local node for MPOL_PREFERRED alone.
    if (takes_nodes && nodes == 0 && kind != MPOL_PREFERRED) return Error(EINVAL);
    if (nodes & ~uint64_t{1} && !(nodes & 1)) return Error(EINVAL);
    return MemoryPolicy{mode, nodes & 1};
}

}  // namespace

Result<long> sys_set_mempolicy(int mode, UserIn<unsigned long> mask, unsigned long max_node) {
    current_thread()->state->memory_policy = TRY(read_policy(mode, mask, max_node));
    return 0;
}

Result<long> sys_get_mempolicy(UserOut<int> mode, UserOut<unsigned long> mask,
                               unsigned long max_node, unsigned long address, unsigned long flags) {
    if (flags & ~static_cast<unsigned long>(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED)) {
        return Error(EINVAL);
    }
    if (mask && max_node < 1) return Error(EINVAL);
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR)) return Error(EINVAL);
        if (mode) TRY(mode.write(0));
        TRY(write_nodes(mask, max_node, 1));
        return 0;
    }
    MemoryPolicy policy = current_thread()->state->memory_policy;
    if (flags & MPOL_F_ADDR) {
        AddressSpace& space = current_address_space();
        if (!space.find(address)) return Error(EFAULT);
        if (flags & MPOL_F_NODE) {
            auto outcome = space.populate(page_down(address), page_down(address) + 1, false);
            if (outcome != FaultOutcome::kResolved) return Error(EFAULT);
        }
    } else if (address || ((flags & MPOL_F_NODE) && policy.mode != MPOL_INTERLEAVE)) {
        return Error(EINVAL);
    }
    if (mode) TRY(mode.write(flags & MPOL_F_NODE ? 0 : policy.mode));
    TRY(write_nodes(mask, max_node, policy.nodes));
    return 0;
}

Result<long> sys_mbind(unsigned long address, unsigned long length, int mode,
                       UserIn<unsigned long> mask, unsigned long max_node, unsigned int flags) {
    constexpr unsigned kKnown = MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL;
    if (flags & ~kKnown) return Error(EINVAL);
    bool may_move_all = current_credentials().has_capability(kCapSysNice);
    if ((flags & MPOL_MF_MOVE_ALL) && !may_move_all) return Error(EPERM);
    if (!is_page_aligned(address)) return Error(EINVAL);
    uint64_t end = address + page_up(length);
    if (end < address) return Error(EINVAL);
    TRY(read_policy(mode, mask, max_node));
    if (end == address) return 0;
    if (!current_address_space().is_fully_mapped(address, end)) return Error(EFAULT);
    return 0;
}

}  // namespace coracle
