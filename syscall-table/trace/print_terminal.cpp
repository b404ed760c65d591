// ioctl(2): the commands of terminals, and sizes that it stores.
#include <sys/ioctl.h>
#include <termios.h>

#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

// The kernel's struct termios, which is shorter than the C library's.
struct KernelTermios {
    uint32_t iflag, oflag, cflag, lflag;
    uint8_t line, characters[19];
};

void put_choice(Line& line, uint32_t value, const char* const* names) {
    line.put(names[value]);
}

void put_termios(Call& call, const KernelTermios& termios) {
    Line& line = call.line;
    line.put("{c_iflag=");
    put_flags(line, termios.iflag, tables::termios_iflags);

    static constexpr const char* kNewline[] = {"NL0", "NL1"};
    static constexpr const char* kReturn[] = {"CR0", "CR1", "CR2", "CR3"};
    static constexpr const char* kTab[] = {"TAB0", "TAB1", "TAB2", "TAB3"};
    static constexpr const char* kBackspace[] = {"BS0", "BS1"};
    static constexpr const char* kVertical[] = {"VT0", "VT1"};
    static constexpr const char* kForm[] = {"FF0", "FF1"};
    line.put(", c_oflag=");
    put_choice(line, termios.oflag >> 8 & 1, kNewline);
    line.put('|');
    put_choice(line, termios.oflag >> 9 & 3, kReturn);
    line.put('|');
    put_choice(line, termios.oflag >> 11 & 3, kTab);
    line.put('|');
    put_choice(line, termios.oflag >> 13 & 1, kBackspace);
    line.put('|');
    put_choice(line, termios.oflag >> 14 & 1, kVertical);
    line.put('|');
    put_choice(line, termios.oflag >> 15 & 1, kForm);
    static constexpr struct {
        uint32_t flag;
        const char* name;
    } kOutputFlags[] = {{OPOST, "|OPOST"}, {OLCUC, "|OLCUC"}, {ONLCR, "|ONLCR"},
                        {OCRNL, "|OCRNL"}, {ONOCR, "|ONOCR"}, {ONLRET, "|ONLRET"},
                        {OFILL, "|OFILL"}, {OFDEL, "|OFDEL"}};
    for (const auto& output : kOutputFlags) {
        if (termios.oflag & output.flag) line.put(output.name);
    }

    static constexpr const char* kSizes[] = {"CS5", "CS6", "CS7", "CS8"};
    line.put(", c_cflag=");
    put_one_of(line, termios.cflag & CBAUD, tables::speeds);
    line.put('|');
    put_choice(line, (termios.cflag & CSIZE) >> 4, kSizes);
    static constexpr struct {
        uint32_t flag;
        const char* name;
    } kControlFlags[] = {{CSTOPB, "|CSTOPB"},  {CREAD, "|CREAD"}, {PARENB, "|PARENB"},
                         {PARODD, "|PARODD"},  {HUPCL, "|HUPCL"}, {CLOCAL, "|CLOCAL"},
                         {CRTSCTS, "|CRTSCTS"}};
    for (const auto& control : kControlFlags) {
        if (termios.cflag & control.flag) line.put(control.name);
    }

    line.put(", c_lflag=");
    put_flags(line, termios.lflag, tables::termios_lflags);
    line.put(", ...}");
}

void put_window_size(Call& call, const struct winsize& size) {
    Line& line = call.line;
    line.put("{ws_row=");
    line.put_unsigned(size.ws_row);
    line.put(", ws_col=");
    line.put_unsigned(size.ws_col);
    line.put(", ws_xpixel=");
    line.put_unsigned(size.ws_xpixel);
    line.put(", ws_ypixel=");
    line.put_unsigned(size.ws_ypixel);
    line.put('}');
}

template <typename T, typename Put>
void put_structure(Call& call, uint64_t address, Put put) {
    T structure;
    if (!call.failed() && call.read(structure, address)) {
        put(call, structure);
    } else {
        call.line.put_pointer(address);
    }
}

}  // namespace

void print_ioctl_command(Call& call, int64_t value) {
    const auto command = static_cast<uint32_t>(value);
    if (const char* name = tables::ioctl_commands.find(command)) {
        call.line.put(name);
        return;
    }
    static constexpr const char* kDirections[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ",
                                                  "_IOC_READ|_IOC_WRITE"};
    call.line.put("_IOC(");
    call.line.put(kDirections[command >> 30]);
    call.line.put(", ");
    call.line.put_hex(command >> 8 & 0xff);
    call.line.put(", ");
    call.line.put_hex(command & 0xff);
    call.line.put(", ");
    call.line.put_hex(command >> 16 & 0x3fff);
    call.line.put(')');
}

void print_ioctl_arg(Call& call, int64_t value) {
    const auto address = static_cast<uint64_t>(value);
    switch (static_cast<uint32_t>(call.arguments[1])) {
        case TCGETS:
        case TCSETS:
        case TCSETSW:
        case TCSETSF:
            put_structure<KernelTermios>(call, address, put_termios);
            break;
        case TIOCGWINSZ:
        case TIOCSWINSZ:
            put_structure<struct winsize>(call, address, put_window_size);
            break;
        case FIONREAD:
        case FIONBIO:
        case FIOASYNC:
        case TIOCOUTQ:
        case TIOCGPGRP:
        case TIOCSPGRP:
        case TIOCGSID:
        case TIOCGPTN:
        case TIOCSPTLCK:
            put_structure<int>(call, address, [](Call& to, int number) {
                to.line.put('[');
                to.line.put_decimal(number);
                to.line.put(']');
            });
            break;
        case TCSBRK:
        case TCXONC:
        case TCFLSH:
        case TIOCSCTTY:
        case 0x40049409:  // FICLONE: a descriptor
            call.line.put_decimal(static_cast<int32_t>(value));
            break;
        default:
            call.line.put_hex(address);
    }
}

}  // namespace coracle::trace
