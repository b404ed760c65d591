// The report of last resort: written by ring 0 to the serial line, then power off.
#include "kernel-min/core/core.h"

namespace coracle::core {

namespace {

void put(const char* text) {
    size_t length = 0;
    while (text[length]) length++;
    serial_write(text, length);
}

void put_register(const char* name, uint64_t value) {
    char line[24] = " ";
    put(name);
    for (int i = 0; i < 16; i++) line[1 + i] = "0123456789abcdef"[value >> (60 - 4 * i) & 15];
    put(line);
}

}  // namespace

void core_panic(const char* what, const TrapFrame& frame) {
    put("panic: ");
    put(what);
    put_register("\nvector", frame.vector);
    put_register("  error", frame.error_code);
    put_register("  cr2", frame.cr2);
    put_register("\nrip", frame.rip);
    put_register("  cs", frame.cs);
    put_register("  rsp", frame.rsp);
    put_register("  flags", frame.rflags);
    const struct {
        const char* name;
        uint64_t value;
    } registers[] = {{"\nrax", frame.rax}, {"  rbx", frame.rbx}, {"  rcx", frame.rcx},
                     {"  rdx", frame.rdx}, {"\nrsi", frame.rsi}, {"  rdi", frame.rdi},
                     {"  rbp", frame.rbp}, {"  r8", frame.r8},   {"\nr9", frame.r9},
                     {"  r10", frame.r10}, {"  r11", frame.r11}, {"  r12", frame.r12},
                     {"\nr13", frame.r13}, {"  r14", frame.r14}, {"  r15", frame.r15}};
    for (const auto& [name, value] : registers) put_register(name, value);
    put("\n");
    stop_machine(125);
}

}  // namespace coracle::core
