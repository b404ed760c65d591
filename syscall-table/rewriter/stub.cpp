#include "syscall-table/rewriter/stub.h"

namespace coracle::rewriter {

namespace {

// The displacement from the end of an instruction to its target.
std::optional<int32_t> displacement(uint64_t end, uint64_t target) {
    const auto distance = static_cast<int64_t>(target - end);
    if (distance != static_cast<int32_t>(distance)) return std::nullopt;
    return static_cast<int32_t>(distance);
}

void store_u32(uint8_t* to, uint32_t value) {
    for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<uint8_t>(value >> 8 * i);
}

}  // namespace

std::optional<Jump> make_jump(uint64_t from, uint64_t to) {
    const auto relative = displacement(from + kJumpSize, to);
    if (!relative) return std::nullopt;
    Jump jump = {0xe9};
    store_u32(&jump[1], static_cast<uint32_t>(*relative));
    return jump;
}

std::optional<Stub> make_stub(uint64_t address, uint32_t number, uint64_t slot, uint64_t back) {
    Stub stub = {
        0x48, 0x8d, 0x64, 0x24, 0x80,                    // lea -128(%rsp),%rsp
        0xb8, 0,    0,    0,    0,                       // mov $number,%eax
        0xff, 0x15, 0,    0,    0,    0,                 // call *slot(%rip)
        0x48, 0x8d, 0xa4, 0x24, 0x80, 0x00, 0x00, 0x00,  // lea 128(%rsp),%rsp
        0xe9, 0,    0,    0,    0,                       // jmp back
        0xcc, 0xcc, 0xcc,
    };
    constexpr size_t kNumberAt = 6, kSlotAt = 12, kCallEnd = 16, kBackAt = 25, kJumpEnd = 29;
    const auto to_slot = displacement(address + kCallEnd, slot);
    const auto to_back = displacement(address + kJumpEnd, back);
    if (!to_slot || !to_back) return std::nullopt;
    store_u32(&stub[kNumberAt], number);
    store_u32(&stub[kSlotAt], static_cast<uint32_t>(*to_slot));
    store_u32(&stub[kBackAt], static_cast<uint32_t>(*to_back));
    return stub;
}

}  // namespace coracle::rewriter
