#include "libposix/libc/patcher/syscall_sites.h"

#include <algorithm>
#include <map>

#include "libposix/libc/patcher/moved_code.h"

namespace coracle::patcher {
namespace {

constexpr uint64_t kJumpSize = 5;  // call or jmp with a 32-bit distance
constexpr uint8_t kCall = 0xe8, kJump = 0xe9;

enum class StubKind { kCalled, kJumpedTo, kJumpedToWithRedZone };

class SyscallPatcher {
  public:
    SyscallPatcher(ElfImage& image, const CodeMap& code, const StubArea& area,
                   const std::set<uint64_t>& pinned)
        : image_(image), code_(code), area_(area), pinned_(pinned), next_stub_(area.start) {}

    // False if the site has no known shape.
    bool patch(size_t index);
    uint64_t stub_bytes() const { return next_stub_ - area_.start; }

  private:
    bool patch_number(size_t index);
    bool patch_with_code_before(size_t index, StubKind kind);
    bool patch_with_code_behind(size_t index);

    bool move(const Instruction& instruction, int64_t pushed, CodeBuffer& code) const;
    uint64_t add_stub(const CodeBuffer& stub);
    void write_jump(uint64_t address, uint8_t opcode, uint64_t target, uint64_t end);
    bool is_contiguous(size_t first, size_t last) const;

    ElfImage& image_;
    const CodeMap& code_;
    const StubArea& area_;
    const std::set<uint64_t>& pinned_;
    uint64_t next_stub_;
    std::map<uint32_t, uint64_t> number_stubs_;
};

bool SyscallPatcher::patch(size_t index) {
    if (uses_red_zone(code_, code_.instructions()[index].address))
        return patch_with_code_before(index, StubKind::kJumpedToWithRedZone);
    return patch_number(index) || patch_with_code_before(index, StubKind::kCalled) ||
           patch_with_code_before(index, StubKind::kJumpedTo) || patch_with_code_behind(index);
}

// Instructions side by side, to none of which but the first a jump leads.
bool SyscallPatcher::is_contiguous(size_t first, size_t last) const {
    const auto& instructions = code_.instructions();
    for (size_t i = first; i < last; ++i)
        if (instructions[i].end() != instructions[i + 1].address ||
            code_.is_target(instructions[i + 1].address))
            return false;
    return true;
}

bool SyscallPatcher::patch_number(size_t index) {
    const Instruction& site = code_.instructions()[index];
    if (index == 0 || !is_contiguous(index - 1, index)) return false;
    const Instruction& load = code_.instructions()[index - 1];
    if (load.length != 5 || image_.read<uint8_t>(load.address) != 0xb8) return false;
    const auto number = image_.read<uint32_t>(load.address + 1);
    const auto [stub, is_new] = number_stubs_.emplace(number, 0);
    if (is_new) {
        CodeBuffer code(next_stub_);
        code.bytes({0xb8});
        code.word(number);
        code.jump_through(area_.entry);
        stub->second = add_stub(code);
    }
    write_jump(load.address, kCall, stub->second, site.end());
    return true;
}

bool SyscallPatcher::patch_with_code_before(size_t index, StubKind kind) {
    const auto& instructions = code_.instructions();
    const Instruction& site = instructions[index];
    size_t first = index;
    while (site.end() - instructions[first].address < kJumpSize) {
        if (first == 0) return false;
        --first;
    }
    if (!is_contiguous(first, index)) return false;
    CodeBuffer code(next_stub_);
    const int64_t pushed = kind == StubKind::kCalled ? 8 : 0;  // The return address.
    for (size_t i = first; i < index; ++i)
        if (!move(instructions[i], pushed, code)) return false;
    switch (kind) {
        case StubKind::kCalled:
            code.jump_through(area_.entry);
            break;
        case StubKind::kJumpedTo:
            code.call_through(area_.entry);
            code.jump(site.end());
            break;
        case StubKind::kJumpedToWithRedZone:
            code.bytes({0x48, 0x8d, 0x64, 0x24, 0x80});           // lea -128(%rsp),%rsp
            code.call_through(area_.entry);
            code.bytes({0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0});  // lea 128(%rsp),%rsp
            code.jump(site.end());
            break;
    }
    write_jump(instructions[first].address, kind == StubKind::kCalled ? kCall : kJump,
               add_stub(code), site.end());
    return true;
}

bool SyscallPatcher::patch_with_code_behind(size_t index) {
    const auto& instructions = code_.instructions();
    const Instruction& site = instructions[index];
    size_t last = index;
    while (instructions[last].end() - site.address < kJumpSize)
        if (++last == instructions.size()) return false;
    if (!is_contiguous(index, last)) return false;
    CodeBuffer code(next_stub_);
    code.call_through(area_.entry);
    for (size_t i = index + 1; i <= last; ++i)
        if (!move(instructions[i], 0, code)) return false;
    code.jump(instructions[last].end());
    write_jump(site.address, kJump, add_stub(code), instructions[last].end());
    return true;
}

bool SyscallPatcher::move(const Instruction& instruction, int64_t pushed,
                          CodeBuffer& code) const {
    const auto place = pinned_.lower_bound(instruction.address);
    if (place != pinned_.end() && *place < instruction.end()) return false;
    return code.move(code_.decode(instruction), instruction.address, pushed);
}

uint64_t SyscallPatcher::add_stub(const CodeBuffer& stub) {
    const uint64_t address = next_stub_;
    const auto& bytes = stub.contents();
    if (address + bytes.size() > area_.end) throw Error("too little room for system-call stubs");
    std::copy(bytes.begin(), bytes.end(), image_.at(address, bytes.size()));
    next_stub_ += bytes.size();
    return address;
}

void SyscallPatcher::write_jump(uint64_t address, uint8_t opcode, uint64_t target, uint64_t end) {
    image_.write(address, opcode);
    image_.write(address + 1, static_cast<int32_t>(target - (address + kJumpSize)));
    // One instruction, however long: 66 prefixes before a nop.
    const uint64_t rest = end - address - kJumpSize;
    for (uint64_t i = 0; i < rest; ++i)
        image_.write<uint8_t>(address + kJumpSize + i, i + 1 == rest ? 0x90 : 0x66);
}

// Some assembler functions do not tell their size.
bool is_in(const std::vector<Symbol>& functions, uint64_t address) {
    constexpr uint64_t kLeastSize = 9;
    return std::ranges::any_of(functions, [&](const Symbol& function) {
        return address >= function.value &&
               address < function.value + std::max(function.size, kLeastSize);
    });
}

}  // namespace

SyscallReport patch_syscalls(ElfImage& image, const CodeMap& code, const StubArea& area,
                             const std::vector<Symbol>& kept, const std::set<uint64_t>& pinned) {
    SyscallPatcher patcher(image, code, area, pinned);
    SyscallReport report;
    const auto& instructions = code.instructions();
    for (size_t i = 0; i < instructions.size(); ++i) {
        const uint64_t address = instructions[i].address;
        if (instructions[i].length != 2 || image.read<uint16_t>(address) != 0x050f) continue;
        const Symbol* function = code.function_at(address);
        if (is_in(kept, address)) {
            ++report.kept;
        } else if (patcher.patch(i)) {
            ++report.patched;
        } else {
            report.unknown.push_back((function != nullptr ? function->name : "?") + " at " +
                                     std::to_string(address));
        }
    }
    report.stub_bytes = patcher.stub_bytes();
    return report;
}

}  // namespace coracle::patcher
