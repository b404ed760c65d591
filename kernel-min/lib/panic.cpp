#include "kernel-min/lib/panic.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "kernel-min/core/gates.h"
#include "kernel-min/core/layout.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/trap_frame.h"

extern "C" const char kernel_text_start[], kernel_text_end[], kernel_image_end[];  // kernel.ld

namespace coracle {

namespace {

void put(std::string_view text) { core::print(text.data(), text.size()); }

void put_hex(uint64_t value) {
    char digits[18] = {'0', 'x'};
    for (int i = 0; i < 16; i++) digits[2 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    put({digits, sizeof(digits)});
}

void put_register(std::string_view name, uint64_t value) {
    put(name);
    put_hex(value);
}

// Where the readable part of the stack around `address` ends.
uint64_t stack_end(uint64_t address) {
    if (address >= KERNEL_STACKS_BASE && address < KERNEL_STACKS_END) {
        constexpr uint64_t kStride = kKernelStackSize + kPageSize;  // a guard page, the stack
        return KERNEL_STACKS_BASE + ((address - KERNEL_STACKS_BASE) / kStride + 1) * kStride;
    }
    constexpr uint64_t kMostOfBootStack = 16 * 1024;
    const auto image_end = reinterpret_cast<uint64_t>(kernel_image_end);
    if (address >= KERNEL_BASE && address < image_end) {
        return std::min(image_end, address + kMostOfBootStack);
    }
    return address;
}

bool follows_call(uint64_t address) {
    if (address < reinterpret_cast<uint64_t>(kernel_text_start) + 7 ||
        address >= reinterpret_cast<uint64_t>(kernel_text_end)) {
        return false;
    }
    const auto* code = reinterpret_cast<const uint8_t*>(address);
    if (code[-5] == 0xe8) return true;  // call rel32
    auto is_indirect = [&](int size) {
        return code[-size] == 0xff && (code[1 - size] & 0x38) == 0x10;
    };
    return is_indirect(2) || is_indirect(3) || is_indirect(4) || is_indirect(6) || is_indirect(7);
}

// The kernel keeps no frame pointers, which would cost every function: what looks like a return
// address is shown, so some are of calls that are over.
void put_backtrace(uint64_t stack_pointer) {
    stack_pointer &= ~uint64_t{7};
    const uint64_t end = stack_end(stack_pointer);
    for (int shown = 0; stack_pointer < end && shown < 32; stack_pointer += sizeof(uint64_t)) {
        const uint64_t word = *reinterpret_cast<const uint64_t*>(stack_pointer);
        if (!follows_call(word)) continue;
        put("\n  at ");
        put_hex(word);
        shown++;
    }
    put("\n");
}

uint64_t stack_pointer_here() { return reinterpret_cast<uint64_t>(__builtin_frame_address(0)); }

}  // namespace

void panic(const char* message) {
    put("panic: ");
    put(message);
    put_backtrace(stack_pointer_here());
    core::power_off(125);
}

void refuse_machine(const char* message) {
    put(message);
    put("\n");
    core::power_off(125);
}

void panic_with_frame(const char* message, const TrapFrame& frame) {
    put("panic: ");
    put(message);
    put_register("\nvector ", frame.vector);
    put_register(" error ", frame.error_code);
    put_register(" cr2 ", frame.cr2);
    put_register("\nrip ", frame.rip);
    put_register(" rsp ", frame.rsp);
    put_register(" rax ", frame.rax);
    put_register("\nrdi ", frame.rdi);
    put_register(" rsi ", frame.rsi);
    put_register(" rdx ", frame.rdx);
    put_register("\nrcx ", frame.rcx);
    put_register(" rbx ", frame.rbx);
    put_register(" r8 ", frame.r8);
    put_backtrace(frame.rsp);
    core::power_off(125);
}

void panic_assertion(const char* expression, const char* file, int line) {
    char digits[12];
    int start = sizeof(digits);
    do {
        digits[--start] = static_cast<char>('0' + line % 10);
        line /= 10;
    } while (line);
    put("panic: assertion failed: ");
    put(expression);
    put(" (");
    put(file);
    put(":");
    put({digits + start, sizeof(digits) - start});
    put(")");
    put_backtrace(stack_pointer_here());
    core::power_off(125);
}

}  // namespace coracle

