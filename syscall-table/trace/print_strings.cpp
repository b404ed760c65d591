// Strings and raw bytes of the program.
#include <algorithm>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

// Prints a NUL-terminated string, at most `limit` bytes of it.
void put_string(Call& call, uint64_t address, size_t limit) {
    constexpr size_t kChunk = Line::kCapacity;
    char text[kChunk];
    const size_t wanted = std::min(limit + 1, sizeof(text));
    const size_t size = address == 0 ? 0 : call.memory.read(text, address, wanted);
    const char* end = std::find(text, text + size, '\0');
    const auto length = static_cast<size_t>(end - text);
    if (length == size && size < wanted) {  // runs into memory that is not there
        call.line.put_pointer(address);
        return;
    }
    call.line.put_quoted(text, std::min(length, limit), length > limit);
}

void put_bytes(Call& call, uint64_t address, uint64_t count,
               void (Line::*put)(const char*, size_t, bool)) {
    char text[kMaxStringLength];
    const size_t size = std::min<uint64_t>(count, sizeof(text));
    if (address == 0 || call.memory.read(text, address, size) != size) {
        call.line.put_pointer(address);
    } else {
        (call.line.*put)(text, size, count > size);
    }
}

}  // namespace

void print_path(Call& call, uint64_t address, uint64_t) {
    put_string(call, address, Line::kCapacity - Line::kReserve);
}

void print_string(Call& call, uint64_t address, uint64_t) {
    put_string(call, address, Line::kCapacity - Line::kReserve);
}

void print_bytes(Call& call, uint64_t address, uint64_t count) {
    put_bytes(call, address, count, &Line::put_quoted);
}

void print_hex_bytes(Call& call, uint64_t address, uint64_t count) {
    put_bytes(call, address, count, &Line::put_quoted_hex);
}

void print_address(Call& call, uint64_t address, uint64_t) {
    call.line.put_pointer(address);
}

void print_argv(Call& call, uint64_t address, uint64_t) {
    if (!is_readable<uint64_t>(call, address)) return;
    call.line.put('[');
    for (size_t i = 0;; ++i) {
        uint64_t string = 0;
        if (!call.read(string, address + i * sizeof(string))) {
            call.line.put_hex(address + i * sizeof(string));
            break;
        }
        if (string == 0) break;
        if (i != 0) call.line.put(", ");
        if (i == kMaxArrayLength) {
            call.line.put("...");
            break;
        }
        put_string(call, string, kMaxStringLength);
    }
    call.line.put(']');
}

void print_envp(Call& call, uint64_t address, uint64_t) {
    call.line.put_pointer(address);
    if (address == 0) return;
    size_t count = 0;
    for (uint64_t string = 0; call.read(string, address + count * sizeof(string)) && string != 0;) {
        ++count;
    }
    call.line.put(" /* ");
    call.line.put_unsigned(count);
    call.line.put(count == 1 ? " var */" : " vars */");
}

}  // namespace coracle::trace
