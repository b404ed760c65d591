#include "syscall-table/rewriter/rewriter.h"

#include <asm/unistd_64.h>

#include "syscall-table/rewriter/site.h"

namespace coracle::rewriter {

namespace {

// Calls that replace the registers, or start a thread with a copy of them: their handlers need the
// frame of a trap, and the stack pointer as it was.
bool needs_trap(uint64_t number) {
    switch (number) {
        case __NR_rt_sigreturn:
        case __NR_clone:
        case __NR_fork:
        case __NR_vfork:
        case __NR_execve:
        case __NR_execveat:
        case __NR_clone3:
            return true;
        default:
            return false;
    }
}

// How far a stub may be from its site: the jumps' 2 GiB, less what lies between their ends.
constexpr uint64_t kReach = (uint64_t{1} << 31) - 2 * kStubPageSize;

uint64_t distance(uint64_t a, uint64_t b) {
    return a < b ? b - a : a - b;
}

}  // namespace

bool Rewriter::rewrite(CodeSpace& space, uint64_t address, uint64_t rax) {
    uint64_t& refused = refused_[hash(address)];
    if (refused == address || needs_trap(rax) || is_first_trap(address)) return false;
    uint8_t bytes[kLookBehind];
    const size_t size = space.read_code_before(address, bytes, sizeof(bytes));
    const std::span<const uint8_t> before = std::span<const uint8_t>(bytes).first(size);
    if (!is_rewritable(before, rax) || !redirect(space, address, static_cast<uint32_t>(rax))) {
        refused = address;
        return false;
    }
    ++rewritten_;
    return true;
}

bool Rewriter::is_first_trap(uint64_t address) {
    uint64_t& seen = seen_[hash(address)];
    if (seen == address) return false;
    seen = address;
    return ++first_traps_ % kImpatience != 0;
}

// The stub is complete before the jump to it is written.
Result<void> Rewriter::redirect(CodeSpace& space, uint64_t address, uint32_t number) {
    const uint64_t stub_address = TRY(allocate_stub(space, address));
    const uint64_t slot = (stub_address & ~(kStubPageSize - 1)) + kSlotOffset;
    const auto stub = make_stub(stub_address, number, slot, address + kSyscallSize);
    const auto jump = make_jump(address - kMovSize, stub_address);
    if (!stub || !jump) return Error(ENOMEM);
    TRY(space.write_code(stub_address, *stub));
    TRY(space.replace_instruction(address - kMovSize, *jump));
    return {};
}

Result<uint64_t> Rewriter::allocate_stub(CodeSpace& space, uint64_t address) {
    for (Page& page : std::span(pages_).first(page_count_)) {
        if (page.used < kStubsPerPage && distance(page.address, address) <= kReach) {
            return page.address + kStubSize * page.used++;
        }
    }
    if (page_count_ == kMaxPages) return Error(ENOMEM);
    const uint64_t page = TRY(space.map_stub_page(address, kReach));
    uint8_t slot[sizeof(entry_)];
    __builtin_memcpy(slot, &entry_, sizeof(entry_));
    TRY(space.write_code(page + kSlotOffset, slot));
    pages_[page_count_++] = {page, 1};
    return page;
}

}  // namespace coracle::rewriter
