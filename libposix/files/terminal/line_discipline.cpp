// What comes in: signals, flow control, lines; and what is read.
#include "libposix/files/terminal/line_discipline.h"

#include "libposix/signals/signal_abi.h"

namespace coracle {

namespace {

// A new terminal's settings, as tty_std_termios has them for a pseudo terminal, with IUTF8, which
// every terminal program of today sets.
constexpr termios2 kDefaultSettings = {
    .c_iflag = ICRNL | IXON | IUTF8,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_line = 0,
    .c_cc = {3, 034, 0177, 025, 4, 0, 1, 0, 021, 023, 032, 0, 022, 017, 027, 026, 0},
    .c_ispeed = 38400,
    .c_ospeed = 38400,
};

unsigned char to_lower(unsigned char c) {
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

}  // namespace

LineDiscipline::LineDiscipline(Driver& driver) : driver_(driver), settings_(kDefaultSettings) {}

void LineDiscipline::mark_line_end(size_t position, bool value) {
    position %= kBufferSize;
    uint64_t bit = uint64_t{1} << position % 64;
    if (value) {
        line_ends_[position / 64] |= bit;
    } else {
        line_ends_[position / 64] &= ~bit;
    }
}

void LineDiscipline::change_settings(const termios2& settings) {
    termios2 old = settings_;
    settings_ = settings;
    if ((old.c_lflag ^ settings.c_lflag) & ICANON) {
        for (uint64_t& word : line_ends_) word = 0;
        if (is_canonical() && head_ != tail_) {
            // What is there already counts as a line.
            mark_line_end(head_ - 1, true);
            line_start_ = head_;
        } else {
            line_start_ = tail_;
        }
        erasing_ = literal_next_ = false;
    }
    if (old.c_iflag & IXON && !input(IXON)) start();
}

void LineDiscipline::flush_input() {
    tail_ = line_start_ = head_ = 0;
    for (uint64_t& word : line_ends_) word = 0;
    erasing_ = literal_next_ = false;
}

size_t LineDiscipline::room() const {
    // One byte stays free for the end of a line that is too long.
    size_t free = kBufferSize - (head_ - tail_);
    if (input(PARMRK)) free = (free + 2) / 3;  // a byte may take three
    return free > 0 ? free - 1 : 0;
}

size_t LineDiscipline::receive(std::span<const char> bytes) {
    size_t count = 0;
    for (; count < bytes.size(); count++) {
        if (room() == 0) {
            // A line that is too long loses its last byte for the new one, which may end it.
            // Else somebody will read, and make room.
            if (!is_canonical() || line_start_ != tail_) break;
            if (head_ - tail_ == kBufferSize) head_--;
        }
        receive_byte(static_cast<Byte>(bytes[count]));
    }
    flush_echo();
    return count;
}

void LineDiscipline::receive_byte(Byte c) {
    if (pass_through_) {
        if (is_canonical() && c == '\n') {
            end_line(c);
        } else {
            add(c);
        }
        return;
    }
    if (input(ISTRIP)) c &= 0x7f;
    if (input(IUCLC) && local(IEXTEN)) c = to_lower(c);
    if (local(EXTPROC)) {
        add(c);
        return;
    }
    if (literal_next_) {
        literal_next_ = false;
        add_with_echo(c);
        return;
    }
    if (stopped_ && input(IXON) && input(IXANY)) start();
    if (receive_flow_control(c) || receive_signal(c)) return;
    bool was_return = c == '\r';
    if (was_return) {
        if (input(IGNCR)) return;
        if (input(ICRNL)) c = '\n';
    } else if (c == '\n' && input(INLCR)) {
        c = '\r';
    }
    if (is_canonical() && receive_canonical(c)) return;
    if (was_return && c == '\n') {
        if (local(ECHO)) echo_raw(c);
        add(c);
    } else {
        add_with_echo(c);
    }
}

bool LineDiscipline::receive_flow_control(Byte c) {
    if (!input(IXON)) return false;
    if (is_control(c, VSTART)) {
        start();
    } else if (is_control(c, VSTOP)) {
        stop();
    } else {
        return false;
    }
    return true;
}

bool LineDiscipline::receive_signal(Byte c) {
    if (!local(ISIG)) return false;
    int signo = is_control(c, VINTR)   ? kSigInt
                : is_control(c, VQUIT) ? kSigQuit
                : is_control(c, VSUSP) ? kSigTstp
                                       : 0;
    if (!signo) return false;
    if (!local(NOFLSH)) {
        flush_input();
        pending_echo_size_ = 0;
    }
    if (input(IXON)) start();
    if (local(ECHO)) echo_byte(c);
    flush_echo();
    driver_.signal_foreground(signo);
    return true;
}

bool LineDiscipline::receive_canonical(Byte c) {
    bool extended = local(IEXTEN);
    if (is_control(c, VERASE) || is_control(c, VKILL) || (extended && is_control(c, VWERASE))) {
        erase(c);
    } else if (extended && is_control(c, VLNEXT)) {
        literal_next_ = true;
        if (local(ECHO)) {
            finish_erasing();
            if (local(ECHOCTL)) {
                echo_raw('^');
                echo_raw('\b');
            }
        }
    } else if (extended && local(ECHO) && is_control(c, VREPRINT)) {
        finish_erasing();
        echo_byte(c);
        reprint();
    } else if (c == '\n') {
        if (local(ECHO | ECHONL)) echo_raw('\n');
        end_line(c);
    } else if (is_control(c, VEOF)) {
        end_line(0);
    } else if (is_control(c, VEOL) || (extended && is_control(c, VEOL2))) {
        if (local(ECHO)) {
            note_line_start();
            echo_byte(c);
        }
        end_line(c);
    } else {
        return false;
    }
    return true;
}

void LineDiscipline::add_with_echo(Byte c) {
    if (local(ECHO)) {
        finish_erasing();
        note_line_start();
        echo_byte(c);
    }
    if (c == 0xff && input(PARMRK)) add(c);
    add(c);
}

void LineDiscipline::add(Byte c) {
    mark_line_end(head_, false);
    at(head_++) = c;
}

void LineDiscipline::end_line(Byte c) {
    add(c);
    mark_line_end(head_ - 1, true);
    line_start_ = head_;
}

bool LineDiscipline::has_input(size_t minimum) const {
    return is_canonical() ? line_start_ != tail_ : head_ - tail_ >= minimum;
}

size_t LineDiscipline::readable_bytes() const {
    if (!is_canonical()) return head_ - tail_;
    size_t count = line_start_ - tail_;
    for (size_t i = tail_; i != line_start_; i++) {
        if (ends_line(i) && at(i) == 0) count--;
    }
    return count;
}

LineDiscipline::Read LineDiscipline::read(char* to, size_t length) {
    size_t count = 0;
    bool canonical = is_canonical();
    size_t end = canonical ? line_start_ : head_;
    while (tail_ != end) {
        bool last = canonical && ends_line(tail_);
        bool end_of_file = last && at(tail_) == 0;
        // An end of file behind the last byte that was asked for belongs to this read.
        if (count == length && !end_of_file) return {count, false};
        if (last) mark_line_end(tail_, false);
        Byte c = at(tail_++);
        if (!end_of_file) to[count++] = static_cast<char>(c);
        if (last) return {count, true};
    }
    return {count, true};
}

}  // namespace coracle
