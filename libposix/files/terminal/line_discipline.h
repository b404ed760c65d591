// N_TTY, the line discipline of a terminal: editing, echo, signals and the mapping of newlines
// (man 3 termios; drivers/tty/n_tty.c is the reference for what the page leaves open). Pure logic.
#pragma once

#include <asm/termbits.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace coracle {

class LineDiscipline {
  public:
    // What the discipline asks of its terminal. Called from receive() and the calls that say so.
    class Driver {
      public:
        virtual void echo(std::span<const char> bytes) = 0;
        virtual void signal_foreground(int signo) = 0;

      protected:
        ~Driver() = default;
    };

    static constexpr size_t kBufferSize = 4096;  // a line's limit, with its newline

    explicit LineDiscipline(Driver& driver);

    const termios2& settings() const { return settings_; }
    void change_settings(const termios2& settings);  // may echo

    // The host's terminal does all of it already: bytes pass as they are, in lines.
    void set_pass_through() { pass_through_ = true; }

    // --- Input from the keyboard.

    // Returns how many bytes it took; the rest waits until read() has made room.
    size_t receive(std::span<const char> bytes);

    // --- Reading.

    // Whether a read would get something; `minimum`: in non-canonical mode, that many bytes.
    bool has_input(size_t minimum = 1) const;
    bool is_canonical() const { return settings_.c_lflag & ICANON; }
    struct Read {
        size_t count;
        bool complete;  // the end of a line, or of what there is: do not read on
    };
    Read read(char* to, size_t length);
    size_t readable_bytes() const;  // FIONREAD
    void flush_input();

    // --- Output of programs.

    struct Output {
        size_t taken, produced;
    };
    // Maps as OPOST says, as much of `from` as finds room in `to` (at least 8 bytes).
    Output map_output(std::span<const char> from, std::span<char> to);

    // Ctrl-S and Ctrl-Q, tcflow(3). While stopped nothing may be written, and echoes wait.
    bool is_stopped() const { return stopped_; }
    void stop() { stopped_ = true; }
    void start();  // echoes

  private:
    using Byte = unsigned char;

    Byte control(unsigned index) const { return settings_.c_cc[index]; }
    bool is_control(Byte c, unsigned index) const { return control(index) && c == control(index); }
    bool local(unsigned flags) const { return settings_.c_lflag & flags; }
    bool input(unsigned flags) const { return settings_.c_iflag & flags; }
    bool is_continuation(Byte c) const { return input(IUTF8) && (c & 0xc0) == 0x80; }

    void receive_byte(Byte c);
    bool receive_flow_control(Byte c);
    bool receive_signal(Byte c);
    bool receive_canonical(Byte c);  // false: an ordinary byte of the line
    void add_with_echo(Byte c);
    void add(Byte c);
    void end_line(Byte c);
    size_t room() const;

    void erase(Byte c);
    void discard_line();
    void echo_erased(Byte c, size_t length);
    void echo_erased_tab();
    void finish_erasing();
    void reprint();

    void echo_byte(Byte c);  // control characters as ^X if ECHOCTL
    void echo_raw(Byte c);   // with output mapping
    void echo_unmapped(Byte c);
    void rub_out();  // one column, with "\b \b"
    void note_line_start();
    void flush_echo();

    // How `c` is shown: at most 8 bytes at `to`; returns how many.
    size_t map_byte(Byte c, char* to);

    Byte& at(size_t position) { return buffer_[position % kBufferSize]; }
    Byte at(size_t position) const { return buffer_[position % kBufferSize]; }
    bool ends_line(size_t position) const {
        position %= kBufferSize;
        return line_ends_[position / 64] >> position % 64 & 1;
    }
    void mark_line_end(size_t position, bool value);

    Driver& driver_;
    termios2 settings_;
    bool pass_through_ = false;
    bool stopped_ = false;
    bool literal_next_ = false;
    bool erasing_ = false;  // between the \ and / of ECHOPRT

    // Positions that only grow: tail_ <= line_start_ <= head_ <= tail_ + kBufferSize. Complete
    // lines lie before line_start_; an end of file is a NUL that ends a line.
    size_t tail_ = 0, line_start_ = 0, head_ = 0;
    Byte buffer_[kBufferSize];
    uint64_t line_ends_[kBufferSize / 64] = {};

    unsigned column_ = 0;       // of the cursor
    unsigned line_column_ = 0;  // where the line being edited began
    char pending_echo_[256];
    size_t pending_echo_size_ = 0;
};

}  // namespace coracle
