#include "syscall-table/trace/constants.h"

#include "syscall-table/trace/line.h"

namespace coracle::trace {

const char* ConstantTable::find(uint64_t value) const {
    for (size_t i = 0; i < count; ++i) {
        if (constants[i].value == value) return constants[i].name;
    }
    return nullptr;
}

void put_flags(Line& line, uint64_t value, const ConstantTable& table) {
    if (const char* exact = table.find(value)) {
        line.put(exact);
        return;
    }
    uint64_t rest = value;
    for (size_t i = 0; i < table.count; ++i) {
        const Constant& constant = table.constants[i];
        if (constant.value == 0 || (rest & constant.value) != constant.value) continue;
        if (rest != value) line.put('|');
        line.put(constant.name);
        rest &= ~constant.value;
    }
    if (rest == value) {
        line.put_hex(value);
        if (value != 0) {
            line.put(" /* ");
            line.put(table.unknown);
            line.put(" */");
        }
    } else if (rest != 0) {
        line.put('|');
        line.put_hex(rest);
    }
}

void put_more_flags(Line& line, uint64_t value, const ConstantTable& table) {
    for (size_t i = 0; i < table.count; ++i) {
        const Constant& constant = table.constants[i];
        if (constant.value == 0 || (value & constant.value) != constant.value) continue;
        line.put('|');
        line.put(constant.name);
        value &= ~constant.value;
    }
    if (value == 0) return;
    line.put('|');
    line.put_hex(value);
}

void put_one_of(Line& line, uint64_t value, const ConstantTable& table) {
    if (const char* name = table.find(value)) {
        line.put(name);
        return;
    }
    line.put_hex(value);
    line.put(" /* ");
    line.put(table.unknown);
    line.put(" */");
}

void put_short_signal(Line& line, int signo) {
    static constexpr const char* kNames[] = {
        "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1", "SEGV",
        "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN", "TTOU",
        "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS",
    };
    if (signo <= 31) {
        line.put(kNames[signo - 1]);
    } else if (signo == 32) {
        line.put("RTMIN");
    } else {
        line.put("RT_");
        line.put_decimal(signo - 32);
    }
}

void put_signal(Line& line, int64_t signo) {
    if (signo < 1 || signo > 64) {
        line.put_decimal(signo);
        return;
    }
    line.put("SIG");
    put_short_signal(line, static_cast<int>(signo));
}

}  // namespace coracle::trace
