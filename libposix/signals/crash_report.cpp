#include "libposix/signals/crash_report.h"

#include <cstring>

#include "kernel-min/devices/host_channel.h"
#include "kernel-min/lib/text_line.h"
#include "kernel-min/lib/user_copy.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_names.h"
#include "libposix/signals/symbol_lookup.h"

namespace coracle {
namespace {

constexpr SignalSet kCrashSignals = signal_bit(kSigSegv) | signal_bit(kSigBus) |
                                    signal_bit(kSigIll) | signal_bit(kSigFpe) |
                                    signal_bit(kSigTrap) | signal_bit(kSigAbrt) |
                                    signal_bit(kSigSys);
constexpr unsigned kMaxFrames = 24, kMaxScannedWords = 1024, kMaxMapLines = 64;

void report(const TextLine<>& line) { host_channel::report_line(line.view()); }

AddressSpace& space() { return *current_process()->address_space; }

void put_region_name(TextLine<>& line, Region& region) {
    char path[160] = {};
    if (region.object) {
        uint32_t major, minor;
        uint64_t inode;
        region.object->describe(path, sizeof(path), &major, &minor, &inode);
        line.put(std::string_view(path, strnlen(path, sizeof(path))));
    } else {
        line.put(region.name ? std::string_view(region.name) : std::string_view("anonymous"));
    }
}

void report_cause(const SignalInfo& info) {
    TextLine line;
    const std::string_view path = current_process()->executable_path;
    line.put(path).put(": killed by ").put(signal_name(info.signo));
    const std::string_view code = signal_code_name(info.signo, info.code);
    if (!code.empty()) line.put(" (").put(code).put(")");
    const bool has_address = info.code > 0 && info.code != kSiKernel;
    if (has_address) line.put(" at address 0x").put_hex(info.fault.address);
    report(line);
}

void report_registers(const TrapFrame& frame) {
    struct Register {
        const char* name;
        uint64_t value;
    };
    const Register registers[] = {
        {"rip", frame.rip}, {"rsp", frame.rsp}, {"rbp", frame.rbp}, {"flg", frame.rflags},
        {"rax", frame.rax}, {"rbx", frame.rbx}, {"rcx", frame.rcx}, {"rdx", frame.rdx},
        {"rsi", frame.rsi}, {"rdi", frame.rdi}, {"r8 ", frame.r8},  {"r9 ", frame.r9},
        {"r10", frame.r10}, {"r11", frame.r11}, {"r12", frame.r12}, {"r13", frame.r13},
        {"r14", frame.r14}, {"r15", frame.r15},
    };
    constexpr unsigned kPerLine = 4;
    TextLine line;
    unsigned column = 0;
    for (const Register& entry : registers) {
        line.put("  ").put(entry.name).put(' ').put_hex(entry.value, 16);
        if (++column % kPerLine != 0) continue;
        report(line);
        line.clear();
    }
    if (!line.is_empty()) report(line);
}

Region* code_region(uint64_t address) {
    Region* region = space().find(address);
    return region && (region->protection & PROT_EXEC) ? region : nullptr;
}

class Backtrace {
  public:
    // "#3 0x7f... /usr/lib/libfoo.so+0x1234 (function+0x10)"
    void add(uint64_t address) {
        if (count_ == kMaxFrames) return;
        TextLine line;
        line.put("  #").put_decimal(count_++).pad_to(6).put("0x").put_hex(address, 12);
        if (Region* region = space().find(address)) {
            line.put(' ');
            put_region_name(line, *region);
            add_symbol(line, *region, address);
        }
        report(line);
    }
    bool is_full() const { return count_ == kMaxFrames; }

  private:
    void add_symbol(TextLine<>& line, Region& region, uint64_t address) {
        // A return address may lie behind its function: the call before it does not.
        const uint64_t inside = count_ == 1 ? address : address - 1;
        Symbol symbol;
        if (!region.object) return;
        if (!find_symbol(*region.object, region.offset + (inside - region.start), symbol)) return;
        const uint64_t correction = address - inside;
        line.put("+0x").put_hex(symbol.address + correction);
        if (!symbol.has_name) return;
        line.put(" (").put(std::string_view(symbol.name)).put("+0x");
        line.put_hex(symbol.offset + correction).put(')');
    }

    unsigned count_ = 0;
};

// Whether a call instruction ends at the address: e8 rel32, or ff /2 of 2 to 7 bytes.
bool follows_call(uint64_t address) {
    uint8_t bytes[7];
    if (!copy_from_user(bytes, address - sizeof(bytes), sizeof(bytes))) return false;
    if (bytes[2] == 0xe8) return true;
    constexpr unsigned kLengths[] = {2, 3, 4, 6, 7};
    for (unsigned length : kLengths) {
        const unsigned start = sizeof(bytes) - length;
        if (bytes[start] == 0xff && (bytes[start + 1] >> 3 & 7) == 2) return true;
    }
    return false;
}

// By what looks like return addresses: most programs keep no frame pointers to follow, and unwind
// tables are the host's to read.
void report_backtrace(const TrapFrame& frame) {
    host_channel::report_line("  backtrace (return addresses found on the stack):");
    Backtrace backtrace;
    backtrace.add(frame.rip);
    uint64_t last = 0;
    for (unsigned i = 0; i < kMaxScannedWords && !backtrace.is_full(); i++) {
        uint64_t word;
        if (!copy_from_user(&word, frame.rsp + i * sizeof(word), sizeof(word))) break;
        if (word == last || !code_region(word) || !follows_call(word)) continue;
        backtrace.add(word);
        last = word;
    }
}

// One line for each file, and for each other region.
void report_memory_map() {
    host_channel::report_line("  memory map:");
    unsigned lines = 0;
    auto& regions = space().regions();
    for (auto region = regions.begin(); region != regions.end();) {
        auto last = region;
        auto next = region;
        ++next;
        while (next != regions.end() && next->object && next->object == region->object) {
            last = next++;
        }
        if (lines++ == kMaxMapLines) {
            host_channel::report_line("    ...");
            return;
        }
        TextLine line;
        line.put("    ").put_hex(region->start, 12).put('-').put_hex(last->end, 12).put(' ');
        if (last == region) {
            line.put(region->protection & PROT_READ ? 'r' : '-');
            line.put(region->protection & PROT_WRITE ? 'w' : '-');
            line.put(region->protection & PROT_EXEC ? 'x' : '-').put(' ');
        } else {
            line.put("    ");
        }
        put_region_name(line, *region);
        report(line);
        region = next;
    }
}

}  // namespace

void report_crash(const TrapFrame& frame, const SignalInfo& info) {
    static bool is_reporting = false;
    if (!(kCrashSignals & signal_bit(info.signo)) || is_reporting) return;
    is_reporting = true;
    report_cause(info);
    report_registers(frame);
    report_backtrace(frame);
    report_memory_map();
}

}  // namespace coracle
