#include "libposix/libc/patcher/syscall_sites.h"

#include <sys/syscall.h>

#include <algorithm>
#include <bit>
#include <map>
#include <tuple>

#include "libposix/libc/patcher/site_entry.h"

namespace coracle::patcher {
namespace {

constexpr uint64_t kJumpSize = 5;  // call or jmp with a 32-bit distance
constexpr uint8_t kCall = 0xe8, kJump = 0xe9, kReturn = 0xc3;
constexpr uint64_t kReturnAddress = 8;

// Calls that need the whole register state must use the entry (ProcessPage::call_entries).
constexpr uint32_t kNeedsRegisters[] = {SYS_clone,    SYS_fork,         SYS_vfork, SYS_execve,
                                        SYS_execveat, SYS_rt_sigreturn, SYS_clone3};

// An area, and where its next stub goes.
struct Filling {
    explicit Filling(const Area& area) : start(area.start), end(area.end), next(area.start) {}
    uint64_t used() const { return next - start; }
    uint64_t start, end, next;
};

class SyscallPatcher {
  public:
    SyscallPatcher(ElfImage& image, const CodeMap& code, const CallProof& proof,
                   const SyscallAreas& areas, const std::set<uint64_t>& pinned,
                   SyscallReport& report)
        : image_(image),
          code_(code),
          proof_(proof),
          areas_(areas),
          pinned_(pinned),
          report_(report),
          called_(areas.called_stubs),
          saving_(areas.saving_stubs),
          saving_more_(areas.saving_more_stubs),
          jumped_(areas.jumped_stubs) {}

    // False if the site has no known shape.
    bool patch(size_t index);
    uint64_t stub_bytes() const {
        return called_.used() + saving_.used() + saving_more_.used() + jumped_.used();
    }

  private:
    bool patch_function(size_t index, const Entry& entry);
    bool patch_number(size_t index, const Entry& entry);
    bool patch_with_code_before(size_t index, const Entry& entry);
    bool patch_with_code_behind(size_t index, const Entry& entry);
    bool patch_with_jump(size_t index, bool red_zone);

    Entry choose_entry(size_t index);
    Entry instruction_entry() const { return {areas_.entry, false, false, 0}; }
    uint64_t slot(uint32_t number);
    uint64_t number_stub(uint32_t number, const Entry& entry);
    size_t first_moved(size_t index) const;
    bool is_contiguous(size_t first, size_t last) const;
    bool move(const Instruction& instruction, uint64_t pushed, CodeBuffer& code) const;
    // A stub that returns to the site; and into its area with it.
    CodeBuffer new_stub(const Entry& entry) { return CodeBuffer(called_stubs(entry).next); }
    uint64_t add_called_stub(const CodeBuffer& stub, const Entry& entry) {
        return add_stub(stub, called_stubs(entry));
    }
    Filling& called_stubs(const Entry& entry) {
        if (!entry.saved) return called_;
        return frame_of(entry.saved).size() == 1 ? saving_ : saving_more_;
    }
    uint64_t add_stub(const CodeBuffer& stub, Filling& area);
    void write_jump(uint64_t address, uint8_t opcode, uint64_t target, uint64_t end);
    void fill(uint64_t start, uint64_t end);

    ElfImage& image_;
    const CodeMap& code_;
    const CallProof& proof_;
    const SyscallAreas& areas_;
    const std::set<uint64_t>& pinned_;
    SyscallReport& report_;
    Filling called_, saving_, saving_more_, jumped_;
    std::map<uint32_t, uint64_t> slots_;
    // (number, pointer, saved)
    std::map<std::tuple<uint32_t, uint64_t, Registers>, uint64_t> number_stubs_;
};

bool SyscallPatcher::patch(size_t index) {
    if (uses_red_zone(code_, code_.instructions()[index].address))
        return patch_with_jump(index, true);
    const Entry entry = choose_entry(index);
    if (patch_function(index, entry) || patch_number(index, entry) ||
        patch_with_code_before(index, entry) || patch_with_code_behind(index, entry)) {
        ++(entry.is_c_call ? report_.c_calls : report_.entry_calls);
        return true;
    }
    return patch_with_jump(index, false);
}

Entry SyscallPatcher::choose_entry(size_t index) {
    const auto number = proof_.number(index);
    if (!number || std::ranges::find(kNeedsRegisters, *number) != std::end(kNeedsRegisters))
        return instruction_entry();
    const auto used = proof_.used_registers(index);
    if (!used || std::popcount(*used) > kMaxSaved) return instruction_entry();
    return {slot(*number), true, proof_.may_have_fourth_argument(index), *used};
}

uint64_t SyscallPatcher::slot(uint32_t number) {
    const auto [entry, is_new] = slots_.emplace(number, areas_.slots.start + 8 * slots_.size());
    if (is_new) {
        if (entry->second + 8 > areas_.slots.end) throw Error("too few slots for system calls");
        report_.slot_numbers.push_back(static_cast<uint16_t>(number));
        CodeBuffer code(called_.next);
        code.bytes({0x49, 0x89, 0xca});  // mov %rcx,%r10: a C function's fourth argument
        append_number(code, number);
        append_jump_into_kernel(code, instruction_entry());
        report_.slot_stubs.push_back(add_stub(code, called_));
    }
    return entry->second;
}

uint64_t SyscallPatcher::number_stub(uint32_t number, const Entry& entry) {
    const auto [stub, is_new] =
        number_stubs_.emplace(std::tuple(number, entry.pointer, entry.saved), 0);
    if (is_new) {
        CodeBuffer code = new_stub(entry);
        if (!entry.is_c_call) append_number(code, number);
        append_jump_into_kernel(code, entry);
        stub->second = add_called_stub(code, entry);
    }
    return stub->second;
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

// A function that is nothing but a call, with C's convention.
bool SyscallPatcher::patch_function(size_t index, const Entry& entry) {
    const auto& instructions = code_.instructions();
    if (!entry.is_c_call || index == 0 || index + 1 == instructions.size()) return false;
    const Instruction& load = instructions[index - 1];
    const Symbol* function = code_.function_at(load.address);
    if (!function || function->value != load.address || load.length != 5 ||
        image_.read<uint8_t>(load.address) != 0xb8 || !is_contiguous(index - 1, index + 1) ||
        image_.read<uint8_t>(instructions[index + 1].address) != kReturn)
        return false;
    CodeBuffer code(load.address);
    code.jump_through(entry.pointer);
    std::ranges::copy(code.contents(), image_.at(load.address, code.contents().size()));
    return true;
}

bool SyscallPatcher::patch_number(size_t index, const Entry& entry) {
    const Instruction& site = code_.instructions()[index];
    if (index == 0 || !is_contiguous(index - 1, index)) return false;
    const Instruction& load = code_.instructions()[index - 1];
    if (load.length != 5 || image_.read<uint8_t>(load.address) != 0xb8) return false;
    if (entry.is_c_call && !entry.fourth_argument && !entry.saved) {
        CodeBuffer code(load.address);
        code.call_through(entry.pointer);
        std::ranges::copy(code.contents(), image_.at(load.address, code.contents().size()));
        fill(load.address + code.contents().size(), site.end());
    } else {
        const auto number = image_.read<uint32_t>(load.address + 1);
        write_jump(load.address, kCall, number_stub(number, entry), site.end());
    }
    return true;
}

// The site and enough instructions before it for a jump.
size_t SyscallPatcher::first_moved(size_t index) const {
    const auto& instructions = code_.instructions();
    size_t first = index;
    while (first > 0 && instructions[index].end() - instructions[first].address < kJumpSize)
        --first;
    return first;
}

bool SyscallPatcher::patch_with_code_before(size_t index, const Entry& entry) {
    const auto& instructions = code_.instructions();
    const size_t first = first_moved(index);
    if (!is_contiguous(first, index)) return false;
    CodeBuffer code = new_stub(entry);
    for (size_t i = first; i < index; ++i)
        if (!move(instructions[i], kReturnAddress, code)) return false;
    append_jump_into_kernel(code, entry);
    write_jump(instructions[first].address, kCall, add_called_stub(code, entry),
               instructions[index].end());
    return true;
}

bool SyscallPatcher::patch_with_code_behind(size_t index, const Entry& entry) {
    const auto& instructions = code_.instructions();
    const Instruction& site = instructions[index];
    size_t last = index;
    while (instructions[last].end() - site.address < kJumpSize)
        if (++last == instructions.size()) return false;
    if (!is_contiguous(index, last)) return false;
    CodeBuffer code = new_stub(entry);
    append_call_into_kernel(code, entry);
    for (size_t i = index + 1; i <= last; ++i)
        if (!move(instructions[i], kReturnAddress, code)) return false;
    code.bytes({0xc3});
    write_jump(site.address, kCall, add_called_stub(code, entry), instructions[last].end());
    return true;
}

bool SyscallPatcher::patch_with_jump(size_t index, bool red_zone) {
    const auto& instructions = code_.instructions();
    const Instruction& site = instructions[index];
    const size_t first = first_moved(index);
    if (!is_contiguous(first, index)) return false;
    CodeBuffer code(jumped_.next);
    for (size_t i = first; i < index; ++i)
        if (!move(instructions[i], 0, code)) return false;
    if (red_zone) code.bytes({0x48, 0x8d, 0x64, 0x24, 0x80});  // lea -128(%rsp),%rsp
    code.call_through(areas_.entry);
    if (red_zone) code.bytes({0x48, 0x8d, 0xa4, 0x24, 0x80, 0, 0, 0});  // lea 128(%rsp),%rsp
    code.jump(site.end());
    write_jump(instructions[first].address, kJump, add_stub(code, jumped_), site.end());
    ++report_.entry_calls;
    return true;
}

bool SyscallPatcher::move(const Instruction& instruction, uint64_t pushed, CodeBuffer& code) const {
    const auto place = pinned_.lower_bound(instruction.address);
    if (place != pinned_.end() && *place < instruction.end()) return false;
    return code.move(code_.decode(instruction), instruction.address, static_cast<int64_t>(pushed));
}

uint64_t SyscallPatcher::add_stub(const CodeBuffer& stub, Filling& area) {
    const uint64_t address = area.next;
    const auto& bytes = stub.contents();
    if (address + bytes.size() > area.end) throw Error("too little room for system-call stubs");
    std::ranges::copy(bytes, image_.at(address, bytes.size()));
    area.next += bytes.size();
    return address;
}

void SyscallPatcher::write_jump(uint64_t address, uint8_t opcode, uint64_t target, uint64_t end) {
    image_.write(address, opcode);
    image_.write(address + 1, static_cast<int32_t>(target - (address + kJumpSize)));
    fill(address + kJumpSize, end);
}

// One instruction, however long: 66 prefixes before a nop.
void SyscallPatcher::fill(uint64_t start, uint64_t end) {
    for (uint64_t address = start; address < end; ++address)
        image_.write<uint8_t>(address, address + 1 == end ? 0x90 : 0x66);
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

SyscallReport patch_syscalls(ElfImage& image, const CodeMap& code, const CallProof& proof,
                             const SyscallAreas& areas, const std::vector<Symbol>& kept,
                             const std::set<uint64_t>& pinned) {
    SyscallReport report;
    SyscallPatcher patcher(image, code, proof, areas, pinned, report);
    const auto& instructions = code.instructions();
    for (size_t i = 0; i < instructions.size(); ++i) {
        const uint64_t address = instructions[i].address;
        if (instructions[i].length != 2 || image.read<uint16_t>(address) != 0x050f) continue;
        const Symbol* function = code.function_at(address);
        if (is_in(kept, address)) {
            ++report.kept;
        } else if (!patcher.patch(i)) {
            report.unknown.push_back((function != nullptr ? function->name : "?") + " at " +
                                     std::to_string(address));
        }
    }
    report.stub_bytes = patcher.stub_bytes();
    return report;
}

}  // namespace coracle::patcher
