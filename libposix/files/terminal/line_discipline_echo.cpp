// What goes out: the mapping of output, echo, and the erasing of what was echoed.
#include "libposix/files/terminal/line_discipline.h"

namespace coracle {

namespace {

constexpr unsigned kTabStop = 8;

bool is_control_character(unsigned char c) {
    return c < 32 || c == 127;
}

// Letters and digits of Latin-1, as the kernel's ctype table knows them.
bool is_alphanumeric(unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}

}  // namespace

size_t LineDiscipline::map_byte(Byte c, char* to) {
    const unsigned output = settings_.c_oflag;
    switch (c) {
        case '\n':
            if (output & ONLRET) column_ = 0;
            if (output & ONLCR) {
                column_ = line_column_ = 0;
                to[0] = '\r';
                to[1] = '\n';
                return 2;
            }
            line_column_ = column_;
            break;
        case '\r':
            if (output & ONOCR && column_ == 0) return 0;
            if (output & OCRNL) {
                c = '\n';
                if (output & ONLRET) column_ = line_column_ = 0;
                break;
            }
            column_ = line_column_ = 0;
            break;
        case '\t': {
            unsigned spaces = kTabStop - column_ % kTabStop;
            column_ += spaces;
            if ((output & TABDLY) == XTABS) {
                for (unsigned i = 0; i < spaces; i++) to[i] = ' ';
                return spaces;
            }
            break;
        }
        case '\b':
            if (column_ > 0) column_--;
            break;
        default:
            if (is_control_character(c)) break;
            if (output & OLCUC && c >= 'a' && c <= 'z') c -= 32;
            if (!is_continuation(c)) column_++;
    }
    to[0] = static_cast<char>(c);
    return 1;
}

LineDiscipline::Output LineDiscipline::map_output(std::span<const char> from, std::span<char> to) {
    size_t taken = 0, produced = 0;
    bool mapped = settings_.c_oflag & OPOST && !pass_through_;
    while (taken < from.size() && produced + kTabStop <= to.size()) {
        if (mapped) {
            produced += map_byte(static_cast<Byte>(from[taken]), &to[produced]);
        } else {
            to[produced++] = from[taken];
        }
        taken++;
    }
    return {taken, produced};
}

void LineDiscipline::start() {
    stopped_ = false;
    flush_echo();
}

void LineDiscipline::flush_echo() {
    if (stopped_ || pending_echo_size_ == 0) return;
    driver_.echo({pending_echo_, pending_echo_size_});
    pending_echo_size_ = 0;
}

// Echoes wait for the end of a receive(), or for Ctrl-Q. Those that find no room are lost.
void LineDiscipline::echo_unmapped(Byte c) {
    if (pending_echo_size_ == sizeof(pending_echo_)) flush_echo();
    if (pending_echo_size_ < sizeof(pending_echo_)) {
        pending_echo_[pending_echo_size_++] = static_cast<char>(c);
    }
}

void LineDiscipline::echo_raw(Byte c) {
    if (!(settings_.c_oflag & OPOST)) {
        echo_unmapped(c);
        return;
    }
    char mapped[kTabStop];
    size_t count = map_byte(c, mapped);
    for (size_t i = 0; i < count; i++) echo_unmapped(static_cast<Byte>(mapped[i]));
}

void LineDiscipline::echo_byte(Byte c) {
    if (local(ECHOCTL) && is_control_character(c) && c != '\t') {
        echo_unmapped('^');
        echo_unmapped(c ^ 0100);
        column_ += 2;
    } else {
        echo_raw(c);
    }
}

void LineDiscipline::rub_out() {
    echo_raw('\b');
    echo_raw(' ');
    echo_raw('\b');
}

void LineDiscipline::note_line_start() {
    if (head_ == line_start_) line_column_ = column_;
}

void LineDiscipline::finish_erasing() {
    if (!erasing_) return;
    echo_raw('/');
    erasing_ = false;
}

void LineDiscipline::reprint() {
    echo_raw('\n');
    for (size_t i = line_start_; i != head_; i++) echo_byte(at(i));
}

void LineDiscipline::discard_line() {
    head_ = line_start_;
}

// ERASE, WERASE or KILL.
void LineDiscipline::erase(Byte c) {
    if (head_ == line_start_) return;
    bool one = is_control(c, VERASE);
    bool word = !one && is_control(c, VWERASE) && local(IEXTEN);
    if (!one && !word) {
        if (!local(ECHO)) {
            discard_line();
            return;
        }
        if (!local(ECHOK) || !local(ECHOKE) || !local(ECHOE)) {
            discard_line();
            finish_erasing();
            echo_byte(control(VKILL));
            if (local(ECHOK)) echo_raw('\n');
            return;
        }
    }
    bool seen_word = false;
    while (head_ != line_start_) {
        // One character, which may be of several bytes; never a part of one.
        size_t start = head_;
        Byte first;
        do {
            first = at(--start);
        } while (is_continuation(first) && start != line_start_);
        if (is_continuation(first)) break;
        if (word) {
            if (is_alphanumeric(first) || first == '_') {
                seen_word = true;
            } else if (seen_word) {
                break;
            }
        }
        size_t length = head_ - start;
        head_ = start;
        if (local(ECHO)) {
            if (one && !local(ECHOE) && !local(ECHOPRT)) {
                echo_byte(control(VERASE));
            } else {
                echo_erased(first, length);
            }
        }
        if (one) break;
    }
    if (head_ == line_start_ && local(ECHO)) finish_erasing();
}

// Takes a character off the screen that was just taken off the line (it still lies at head_).
void LineDiscipline::echo_erased(Byte c, size_t length) {
    if (local(ECHOPRT)) {
        if (!erasing_) {
            echo_raw('\\');
            erasing_ = true;
        }
        echo_byte(c);
        for (size_t i = 1; i < length; i++) {
            echo_unmapped(at(head_ + i));
        }
    } else if (c == '\t') {
        echo_erased_tab();
    } else {
        if (is_control_character(c) && local(ECHOCTL)) rub_out();
        if (!is_control_character(c) || local(ECHOCTL)) rub_out();
    }
}

// Goes back to the column where the tab began: that of the previous tab's end, or of the line's
// start, and the characters since then.
void LineDiscipline::echo_erased_tab() {
    unsigned columns = 0;
    bool after_tab = false;
    for (size_t i = head_; i != line_start_ && !after_tab;) {
        Byte c = at(--i);
        if (c == '\t') {
            after_tab = true;
        } else if (is_control_character(c)) {
            if (local(ECHOCTL)) columns += 2;
        } else if (!is_continuation(c)) {
            columns++;
        }
    }
    if (!after_tab) columns += line_column_;
    for (unsigned i = columns % kTabStop; i < kTabStop; i++) {
        echo_unmapped('\b');
        if (column_ > 0) column_--;
    }
}

}  // namespace coracle
