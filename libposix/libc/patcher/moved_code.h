// Machine code that runs at another address than it was linked for.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "libposix/libc/patcher/code_map.h"

namespace coracle::patcher {

class CodeBuffer {
  public:
    // The code will be at this address.
    explicit CodeBuffer(uint64_t address) : address_(address) {}

    void bytes(std::initializer_list<uint8_t> bytes);
    void word(uint32_t value);
    void jump(uint64_t target);
    void jump_through(uint64_t pointer);  // jmp *pointer(%rip)
    void call_through(uint64_t pointer);

    // Appends an instruction that stood at `from` so that it does the same here, with the stack
    // pointer `pushed` bytes lower. False if that is not possible or not provable.
    bool move(DecodedInstruction decoded, uint64_t from, int64_t pushed);

    const std::vector<uint8_t>& contents() const { return bytes_; }

  private:
    uint64_t end() const { return address_ + bytes_.size(); }
    void distance_to(uint64_t target);

    uint64_t address_;
    std::vector<uint8_t> bytes_;
};

// True if the function around the address has data below its stack pointer.
bool uses_red_zone(const CodeMap& code, uint64_t address);

}  // namespace coracle::patcher
