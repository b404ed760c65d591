// The requests of man 4 tty_ioctl, with the answers of a Linux pseudo terminal's slave.
#include <asm/ioctls.h>
#include <asm/termbits.h>

#include <cstring>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/terminal/host_output.h"
#include "libposix/files/terminal/terminal.h"
#include "libposix/fs/device_node.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

namespace {

// struct termio of System V.
struct OldSettings {
    uint16_t c_iflag, c_oflag, c_cflag, c_lflag;
    uint8_t c_line;
    uint8_t c_cc[8];
};
static_assert(sizeof(OldSettings) == 18);

// The speeds of B0..B38400 and of BOTHER|1.. (B57600..).
constexpr uint32_t kSpeeds[] = {0,   50,   75,   110,  134,  150,  200,   300,
                                600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
constexpr uint32_t kHighSpeeds[] = {57600,   115200,  230400,  460800,  500000,
                                    576000,  921600,  1000000, 1152000, 1500000,
                                    2000000, 2500000, 3000000, 3500000, 4000000};

// What the coded speed of c_cflag means; BOTHER keeps the number that was given.
uint32_t speed_of(uint32_t code, uint32_t given) {
    if (!(code & CBAUDEX)) return kSpeeds[code & 0xf];
    uint32_t index = code & 0xf;
    return index == 0 ? given : kHighSpeeds[index - 1];
}

void set_speeds(termios2& settings) {
    constexpr unsigned kInputShift = 16;  // IBSHIFT
    settings.c_ospeed = speed_of(settings.c_cflag & CBAUD, settings.c_ospeed);
    uint32_t input_code = settings.c_cflag >> kInputShift & CBAUD;
    settings.c_ispeed = input_code ? speed_of(input_code, settings.c_ispeed) : settings.c_ospeed;
}

}  // namespace

Result<long> Terminal::ioctl(uint32_t command, uint64_t argument) {
    switch (command) {
        case TCGETS:
        case TCSETS:
        case TCSETSW:
        case TCSETSF:
        case TCGETS2:
        case TCSETS2:
        case TCSETSW2:
        case TCSETSF2:
        case TCGETA:
        case TCSETA:
        case TCSETAW:
        case TCSETAF:
            return settings_ioctl(command, argument);
        case TIOCGPGRP:
        case TIOCSPGRP:
        case TIOCGSID:
        case TIOCSCTTY:
        case TIOCNOTTY:
            return job_control_ioctl(command, argument);
        case TIOCGWINSZ:
        case TIOCSWINSZ:
            return window_ioctl(command, argument);
        default:
            return queue_ioctl(command, argument);
    }
}

Result<long> Terminal::settings_ioctl(uint32_t command, uint64_t argument) {
    termios2 settings = discipline_.settings();
    bool flush = false;
    switch (command) {
        case TCGETS: {
            termios short_settings;
            memcpy(&short_settings, &settings, sizeof(short_settings));
            TRY(UserOut<termios>(argument).write(short_settings));
            return 0;
        }
        case TCGETS2:
            TRY(UserOut<termios2>(argument).write(settings));
            return 0;
        case TCGETA: {
            OldSettings old = {static_cast<uint16_t>(settings.c_iflag),
                               static_cast<uint16_t>(settings.c_oflag),
                               static_cast<uint16_t>(settings.c_cflag),
                               static_cast<uint16_t>(settings.c_lflag),
                               settings.c_line,
                               {}};
            memcpy(old.c_cc, settings.c_cc, sizeof(old.c_cc));
            TRY(UserOut<OldSettings>(argument).write(old));
            return 0;
        }
        case TCSETSF:
            flush = true;
            [[fallthrough]];
        case TCSETS:
        case TCSETSW: {
            termios given = TRY(UserIn<termios>(argument).read());
            memcpy(&settings, &given, sizeof(given));
            break;
        }
        case TCSETSF2:
            flush = true;
            [[fallthrough]];
        case TCSETS2:
        case TCSETSW2:
            settings = TRY(UserIn<termios2>(argument).read());
            break;
        case TCSETAF:
            flush = true;
            [[fallthrough]];
        default: {
            OldSettings old = TRY(UserIn<OldSettings>(argument).read());
            constexpr uint32_t kLow = 0xffff;
            settings.c_iflag = (settings.c_iflag & ~kLow) | old.c_iflag;
            settings.c_oflag = (settings.c_oflag & ~kLow) | old.c_oflag;
            settings.c_cflag = (settings.c_cflag & ~kLow) | old.c_cflag;
            settings.c_lflag = (settings.c_lflag & ~kLow) | old.c_lflag;
            settings.c_line = old.c_line;
            memcpy(settings.c_cc, old.c_cc, sizeof(old.c_cc));
        }
    }
    TRY(check_foreground(kSigTtou));
    if (flush) discipline_.flush_input();
    // A pseudo terminal has 8 bits, no parity, and a receiver that cannot be switched off.
    settings.c_cflag = (settings.c_cflag & ~(CSIZE | PARENB)) | CS8 | CREAD;
    set_speeds(settings);
    discipline_.change_settings(settings);
    take_pending();
    changed.wake_all();
    return 0;
}

Result<long> Terminal::job_control_ioctl(uint32_t command, uint64_t argument) {
    Process& process = *current_process();
    if (command == TIOCSCTTY) {
        if (controls(process))
            return process.pid == process.session ? Result<long>(0) : Error(EPERM);
        // Only a session leader without a terminal may take one that is free.
        if (process.pid != process.session || session_ != 0) return Error(EPERM);
        session_ = process.session;
        foreground_group_ = process.process_group;
        return 0;
    }
    if (!controls(process)) return Error(ENOTTY);
    switch (command) {
        case TIOCGPGRP:
            TRY(UserOut<uint32_t>(argument).write(foreground_group_));
            return 0;
        case TIOCGSID:
            TRY(UserOut<uint32_t>(argument).write(session_));
            return 0;
        case TIOCSPGRP: {
            TRY(check_foreground(kSigTtou));
            int32_t group = TRY(UserIn<int32_t>(argument).read());
            if (group < 0) return Error(EINVAL);
            // The groups of other processes come with the process table.
            if (static_cast<uint32_t>(group) != process.process_group) return Error(ESRCH);
            foreground_group_ = group;
            return 0;
        }
        default:  // TIOCNOTTY
            if (process.pid == process.session) {
                signal_foreground(kSigHup);
                signal_foreground(kSigCont);
                session_ = foreground_group_ = 0;
            }
            return 0;
    }
}

Result<long> Terminal::window_ioctl(uint32_t command, uint64_t argument) {
    if (command == TIOCGWINSZ) {
        TRY(UserOut<channel::WindowSize>(argument).write(window_));
    } else {
        resize(TRY(UserIn<channel::WindowSize>(argument).read()));
    }
    return 0;
}

Result<long> Terminal::queue_ioctl(uint32_t command, uint64_t argument) {
    UserOut<int32_t> number(argument);
    switch (command) {
        case FIONREAD:
            TRY(number.write(discipline_.readable_bytes()));
            return 0;
        case TIOCOUTQ:
            TRY(number.write(0));
            return 0;
        case TCSBRK:
        case TCSBRKP:
            // Output has left when write(2) returns, and a pseudo terminal has no break.
            TRY(check_foreground(kSigTtou));
            return 0;
        case TCXONC:
            TRY(check_foreground(kSigTtou));
            switch (argument) {
                case TCOOFF:
                    discipline_.stop();
                    break;
                case TCOON:
                    discipline_.start();
                    break;
                case TCIOFF:
                case TCION: {
                    const auto key = static_cast<char>(
                        discipline_.settings().c_cc[argument == TCIOFF ? VSTOP : VSTART]);
                    if (key) output_->write_now({&key, 1});
                    break;
                }
                default:
                    return Error(EINVAL);
            }
            changed.wake_all();
            return 0;
        case TCFLSH:
            TRY(check_foreground(kSigTtou));
            if (argument > TCIOFLUSH) return Error(EINVAL);
            if (argument != TCOFLUSH) discipline_.flush_input();
            take_pending();
            return 0;
        case TIOCSTI: {
            Process& process = *current_process();
            if (!controls(process) && !current_credentials().has_capability(kCapSysAdmin)) {
                return Error(EPERM);
            }
            char key = TRY(UserIn<char>(argument).read());
            discipline_.receive({&key, 1});
            changed.wake_all();
            return 0;
        }
        case TIOCEXCL:
            exclusive_ = true;
            return 0;
        case TIOCNXCL:
            exclusive_ = false;
            return 0;
        case TIOCGEXCL:
            TRY(number.write(exclusive_));
            return 0;
        case TIOCGETD:
            TRY(number.write(0));  // N_TTY
            return 0;
        case TIOCSETD:
            return TRY(UserIn<int32_t>(argument).read()) == 0 ? Result<long>(0) : Error(EINVAL);
        case TIOCGSOFTCAR:
            TRY(number.write((discipline_.settings().c_cflag & CLOCAL) != 0));
            return 0;
        case TIOCGDEV:
            TRY(number.write(make_device(kMajor, kMinor)));
            return 0;
        default:
            return Error(ENOTTY);
    }
}

}  // namespace coracle
