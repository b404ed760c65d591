#include "kernel-min/lib/panic.h"

#include <cstdint>
#include <string_view>

#include "kernel-min/core/gates.h"
#include "kernel-min/sched/trap_frame.h"

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

// Frame pointers are kept in the kernel. Stops where the chain leaves the stack.
void put_backtrace(const uint64_t* frame) {
    for (int depth = 0; depth < 24 && reinterpret_cast<int64_t>(frame) < 0; depth++) {
        put("\n  at ");
        put_hex(frame[1]);
        auto* next = reinterpret_cast<const uint64_t*>(frame[0]);
        if (next <= frame || next > frame + 8192) break;
        frame = next;
    }
    put("\n");
}

}  // namespace

void panic(const char* message) {
    put("panic: ");
    put(message);
    put_backtrace(static_cast<uint64_t*>(__builtin_frame_address(0)));
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
    put_backtrace(reinterpret_cast<const uint64_t*>(frame.rbp));
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
    put_backtrace(static_cast<uint64_t*>(__builtin_frame_address(0)));
    core::power_off(125);
}

}  // namespace coracle

