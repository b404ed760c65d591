// The line discipline against the host's: what a real pseudo terminal answers to the same keys.
#include "libposix/files/terminal/line_discipline.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace coracle {
namespace {

struct Observed {
    std::string echo;
    std::vector<std::string> reads;  // until nothing is left
    bool operator==(const Observed&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Observed& observed) {
    out << "echo " << testing::PrintToString(observed.echo) << " reads";
    for (auto& read : observed.reads) out << " " << testing::PrintToString(read);
    return out;
}

// What happens, in turn: keys, or (empty) one round of reads.
struct Script {
    std::string keys;
    size_t read_size = 10000;
    std::string output = {};  // written by the program before the keys
};

class Model : public LineDiscipline::Driver {
  public:
    explicit Model(const termios2* settings) {
        if (settings) discipline.change_settings(*settings);
    }
    void echo(std::span<const char> bytes) override { screen.append(bytes.data(), bytes.size()); }
    void signal_foreground(int signo) override { signals.push_back(signo); }

    Observed run(const Script& script) {
        write(script.output);
        discipline.receive(script.keys);
        Observed observed;
        while (discipline.has_input()) {
            std::string bytes(script.read_size, '\0');
            bytes.resize(discipline.read(bytes.data(), bytes.size()).count);
            observed.reads.push_back(bytes);
        }
        observed.echo = screen;
        return observed;
    }
    void write(std::string_view text) {
        while (!text.empty()) {
            char mapped[64];
            auto done = discipline.map_output(text, mapped);
            screen.append(mapped, done.produced);
            text.remove_prefix(done.taken);
        }
    }

    LineDiscipline discipline{*this};
    std::string screen;
    std::vector<int> signals;
};

class PseudoTerminal {
  public:
    PseudoTerminal() {
        master_ = posix_openpt(O_RDWR | O_NOCTTY);
        if (master_ < 0 || grantpt(master_) || unlockpt(master_)) return;
        slave_ = open(ptsname(master_), O_RDWR | O_NOCTTY);
    }
    ~PseudoTerminal() {
        close(master_);
        close(slave_);
    }
    bool is_open() const { return slave_ >= 0; }
    void set(const termios2& settings) { ioctl(slave_, TCSETS2, &settings); }

    // The kernel carries bytes from end to end in the background: one that stays away for
    // `patience_ms` will not come.
    Observed run(const Script& script, int patience_ms) {
        auto readable = [&](int fd) {
            pollfd entry = {fd, POLLIN, 0};
            return poll(&entry, 1, patience_ms) == 1 && entry.revents & POLLIN;
        };
        if (!script.output.empty()) {
            EXPECT_EQ(write(slave_, script.output.data(), script.output.size()),
                      static_cast<ssize_t>(script.output.size()));
        }
        EXPECT_EQ(write(master_, script.keys.data(), script.keys.size()),
                  static_cast<ssize_t>(script.keys.size()));
        Observed observed;
        while (readable(master_)) append_from(master_, observed.echo);
        while (readable(slave_)) {
            std::string bytes(script.read_size, '\0');
            ssize_t count = read(slave_, bytes.data(), bytes.size());
            bytes.resize(count < 0 ? 0 : count);
            observed.reads.push_back(bytes);
        }
        return observed;
    }

  private:
    static void append_from(int fd, std::string& to) {
        char bytes[4096];
        ssize_t count = read(fd, bytes, sizeof(bytes));
        if (count > 0) to.append(bytes, count);
    }

    int master_ = -1, slave_ = -1;
};

termios2 default_settings() {
    return Model(nullptr).discipline.settings();
}

void compare(const termios2& settings, const Script& script) {
    const Observed seen = Model(&settings).run(script);
    Observed expected;
    for (int patience_ms : {15, 150, 1500}) {  // a busy machine is slow
        PseudoTerminal host;
        if (!host.is_open()) GTEST_SKIP() << "this machine has no pseudo terminals";
        host.set(settings);
        expected = host.run(script, patience_ms);
        if (seen == expected) break;
    }
    EXPECT_EQ(seen, expected)
        << "keys " << testing::PrintToString(script.keys) << std::hex << " iflag "
        << settings.c_iflag << " oflag " << settings.c_oflag << " lflag " << settings.c_lflag;
}

using namespace std::string_literals;

TEST(LineDiscipline, CanonicalEditingAsOnLinux) {
    termios2 settings = default_settings();
    for (const Script& script : std::vector<Script>{
             {"hello\n"},
             {"hello\n", 2},
             {"a\nbc\n\nd"},
             {"hello\x04"},
             {"hello\x04", 5},
             {"hello\x04", 3},
             {"\x04"},
             {"a\n\x04"
              "b\n"},
             {"abc\x7f\x7f"
              "d\n"},
             {"\x7f\x7fx\n"},
             {"one two  three\x17x\n"},
             {"one, two_3!\x17\x17y\n"},
             {"abc\x15"
              "d\n"},
             {"ab\tc\x7f\x7f\x7fz\n"},
             {"\ta\t\tb\x7f\x7f\x7f\x7f\x7f\n"},
             {"abc\x01\x02\x7f\x7f\x7f\n"},
             {"\x16\x03\x16\x7f\x16\x16\n"},
             {"abc\x12"
              "d\n"},
             {"\xc3\xa4\xe2\x82\xac\x7f\x7f\x7fq\n"},
             {"cr\rlf\n"},
             {"x\ty\n", 10000, "prompt> "},
             {"x\t\x7f\x7f\x7f\n", 10000, "pro\tmpt\xc3\xa4> "},
             {"line\n", 10000, "a\nb\rc\bd\te\x1b\n"},
         }) {
        compare(settings, script);
    }
}

TEST(LineDiscipline, SettingsAsOnLinux) {
    const std::string keys =
        "Ab\tc\r\x7f"
        "d e\x17"
        "f\n\x15g\xff\x01\x7f\x7f\nxyz\x15q\n";
    auto with = [](auto change) {
        termios2 settings = default_settings();
        change(settings);
        return settings;
    };
    for (const termios2& settings : {
             with([](termios2& s) { s.c_lflag &= ~ECHO; }),
             with([](termios2& s) { s.c_lflag = (s.c_lflag & ~ECHO) | ECHONL; }),
             with([](termios2& s) { s.c_lflag &= ~ECHOE; }),
             with([](termios2& s) { s.c_lflag &= ~ECHOK; }),
             with([](termios2& s) { s.c_lflag &= ~ECHOKE; }),
             with([](termios2& s) { s.c_lflag &= ~ECHOCTL; }),
             with([](termios2& s) { s.c_lflag |= ECHOPRT; }),
             with([](termios2& s) { s.c_lflag &= ~IEXTEN; }),
             with([](termios2& s) { s.c_iflag &= ~ICRNL; }),
             with([](termios2& s) { s.c_iflag |= IGNCR; }),
             with([](termios2& s) { s.c_iflag = (s.c_iflag & ~ICRNL) | INLCR; }),
             with([](termios2& s) { s.c_iflag |= ISTRIP; }),
             with([](termios2& s) { s.c_iflag |= IUCLC; }),
             with([](termios2& s) { s.c_iflag |= PARMRK; }),
             with([](termios2& s) { s.c_iflag &= ~IUTF8; }),
             with([](termios2& s) { s.c_oflag &= ~OPOST; }),
             with([](termios2& s) { s.c_oflag &= ~ONLCR; }),
             with([](termios2& s) { s.c_oflag |= OCRNL; }),
             with([](termios2& s) { s.c_oflag |= ONOCR; }),
             with([](termios2& s) { s.c_oflag |= ONLRET; }),
             with([](termios2& s) { s.c_oflag |= OLCUC; }),
             with([](termios2& s) { s.c_oflag |= XTABS; }),
             with([](termios2& s) { s.c_cc[VEOL] = 'c'; }),
             with([](termios2& s) { s.c_cc[VEOL2] = 'd'; }),
             with([](termios2& s) { s.c_cc[VERASE] = 0; }),
             with([](termios2& s) { s.c_lflag &= ~ICANON; }),
             with([](termios2& s) { s.c_lflag &= ~(ICANON | ECHO | ISIG), s.c_iflag = 0; }),
         }) {
        compare(settings, {keys, 10000, "a\tb\r\nc\n\r"});
    }
}

TEST(LineDiscipline, LongLinesAsOnLinux) {
    termios2 settings = default_settings();
    settings.c_lflag &= ~ECHO;
    for (size_t length : {4094, 4095, 4096, 4097, 4500}) {
        std::string line(length, 'x');
        for (size_t i = 0; i < length; i++) line[i] = static_cast<char>('a' + i % 26);
        compare(settings, {line + "\n"});
    }
}

// Random keys without signals and flow control.
TEST(LineDiscipline, RandomKeysAsOnLinux) {
    std::mt19937 random(7);
    const std::string alphabet =
        "ab _-\t\t\n\x01\x04\x7f\x7f\x7f\x15\x17\x16\x12\xc3\xa4\xe2\x82\xac\r";
    for (int round = 0; round < 150; round++) {
        termios2 settings = default_settings();
        for (unsigned flag : {ECHO, ECHOE, ECHOK, ECHOKE, ECHOCTL, ECHOPRT, IEXTEN}) {
            if (random() % 5 == 0) settings.c_lflag ^= flag;
        }
        if (random() % 4 == 0) settings.c_iflag &= ~IUTF8;
        std::string keys(random() % 40, ' ');
        for (char& key : keys) key = alphabet[random() % alphabet.size()];
        keys += "\n";
        compare(settings, {keys, random() % 3 ? 10000 : 1 + random() % 6});
        if (HasFailure()) break;
    }
}

TEST(LineDiscipline, SignalsFlushWhatWasTyped) {
    Model model(nullptr);
    model.discipline.receive("abc"s);
    model.discipline.receive("\x03"s);
    EXPECT_EQ(model.signals, std::vector<int>{2});
    EXPECT_EQ(model.screen, "abc^C");
    model.discipline.receive("d\n\x1c\x1a"s);
    EXPECT_EQ(model.signals, (std::vector<int>{2, 3, 20}));
    EXPECT_FALSE(model.discipline.has_input());

    termios2 settings = default_settings();
    settings.c_lflag |= NOFLSH;
    Model keeping(&settings);
    keeping.discipline.receive(
        "ab\x03"
        "c\n"s);
    EXPECT_EQ(keeping.signals, std::vector<int>{2});
    EXPECT_EQ(keeping.run({}).reads, std::vector<std::string>{"abc\n"});

    settings.c_lflag &= ~ISIG;
    Model plain(&settings);
    EXPECT_EQ(plain.run({"\x03\n"}).reads, std::vector<std::string>{"\x03\n"});
    EXPECT_TRUE(plain.signals.empty());
}

TEST(LineDiscipline, FlowControlHoldsEchoBack) {
    Model model(nullptr);
    model.discipline.receive(
        "a\x13"
        "b"s);
    EXPECT_TRUE(model.discipline.is_stopped());
    EXPECT_EQ(model.screen, "");
    model.discipline.receive("\x11"s);
    EXPECT_FALSE(model.discipline.is_stopped());
    EXPECT_EQ(model.screen, "ab");
}

TEST(LineDiscipline, FullBufferLeavesTheRest) {
    Model model(nullptr);
    std::string lines;
    while (lines.size() < 10000) lines += "some line\n";
    size_t taken = model.discipline.receive(lines);
    EXPECT_LT(taken, 4096u);
    std::string read;
    for (;;) {
        for (auto& line : model.run({}).reads) read += line;
        if (taken == lines.size()) break;
        taken += model.discipline.receive({lines.data() + taken, lines.size() - taken});
    }
    EXPECT_EQ(read, lines);
}

TEST(LineDiscipline, LeavingCanonicalModeShowsTheUnfinishedLine) {
    Model model(nullptr);
    model.discipline.receive("abc"s);
    EXPECT_FALSE(model.discipline.has_input());
    EXPECT_EQ(model.discipline.readable_bytes(), 0u);
    termios2 settings = default_settings();
    settings.c_lflag &= ~ICANON;
    model.discipline.change_settings(settings);
    EXPECT_TRUE(model.discipline.has_input(3));
    EXPECT_FALSE(model.discipline.has_input(4));
    EXPECT_EQ(model.discipline.readable_bytes(), 3u);
    settings.c_lflag |= ICANON;
    model.discipline.change_settings(settings);
    EXPECT_EQ(model.run({}).reads, std::vector<std::string>{"abc"});
}

TEST(LineDiscipline, PassThroughLeavesAllToTheHost) {
    Model model(nullptr);
    model.discipline.set_pass_through();
    EXPECT_EQ(model.run({"a\x7f\r\x03\nb\n", 10000, "x\n"}),
              (Observed{"x\n", {"a\x7f\r\x03\n", "b\n"}}));
    EXPECT_TRUE(model.signals.empty());
}

}  // namespace
}  // namespace coracle
