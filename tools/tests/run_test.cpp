// `coracle run` from end to end, with the fake guest in the place of QEMU: standard streams,
// signals, terminals, exit statuses and what the user is told.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <utmp.h>

#include <chrono>
#include <random>
#include <thread>

#include "tools/image/tree.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// The tests' own cache of root images, shared by them all.
const std::string& cache_folder() {
    static const TemporaryFolder folder;
    return folder.path();
}

// One run of the host program with pipes for its standard streams.
class HostRun {
  public:
    explicit HostRun(std::vector<std::string> words, const std::string& fault = "") {
        int ends[3][2];
        for (auto& pair : ends) {
            if (pipe2(pair, O_CLOEXEC) != 0) abort();
        }
        start(std::move(words), fault, [&ends] {
            dup2(ends[0][0], 0);
            dup2(ends[1][1], 1);
            dup2(ends[2][1], 2);
        });
        for (int i = 0; i < 3; ++i) close(ends[i][i == 0 ? 0 : 1]);
        input = ends[0][1];
        output = ends[1][0];
        errors = ends[2][0];
    }

    // On a terminal; `input` and `output` are its other side.
    struct OnTerminal {};
    HostRun(OnTerminal, std::vector<std::string> words, const std::string& fault = "") {
        int side = -1;
        winsize size{33, 101, 0, 0};
        if (openpty(&output, &side, nullptr, nullptr, &size) != 0) abort();
        start(std::move(words), fault, [side] { login_tty(side); });
        terminal = side;
        input = dup(output);
        errors = -1;
    }

    ~HostRun() {
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
        for (int fd : {input, output, errors, terminal}) close(fd);
    }

    void end_input() {
        close(input);
        input = -1;
    }

    // Feeds `text` and reads both outputs to their ends, all at once.
    void exchange(std::string_view text) {
        fcntl(input, F_SETFL, O_NONBLOCK);
        while (input >= 0 || output >= 0 || errors >= 0) {
            if (input >= 0 && text.empty()) end_input();
            pollfd events[] = {{input, POLLOUT, 0}, {output, POLLIN, 0}, {errors, POLLIN, 0}};
            poll(events, 3, 10000);
            if (events[0].revents) {
                ssize_t size = write(input, text.data(), text.size());
                if (size > 0) text.remove_prefix(static_cast<size_t>(size));
                if (size < 0 && errno != EAGAIN) end_input();
            }
            if (events[1].revents) read_some(output, out);
            if (events[2].revents) read_some(errors, err);
        }
    }

    // Reads standard output until it holds `text`; false after 10 seconds without.
    bool wait_for(const std::string& text) {
        while (out.find(text) == std::string::npos) {
            pollfd event{output, POLLIN, 0};
            if (poll(&event, 1, 10000) <= 0) return false;
            read_some(output, out);
            if (output < 0) return out.find(text) != std::string::npos;
        }
        return true;
    }

    void type(const std::string& text) {
        ASSERT_EQ(write(input, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    // The exit status, as a shell says it.
    int status() {
        int status = -1;
        waitpid(pid, &status, 0);
        pid = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }

    int finish(std::string_view text = "") {
        exchange(text);
        return status();
    }

    pid_t pid = -1;
    int input = -1, output = -1, errors = -1, terminal = -1;
    std::string out, err;

  private:
    template <typename Function>
    void start(std::vector<std::string> words, const std::string& fault, Function attach) {
        words.insert(words.begin(), {CORACLE_PROGRAM, "run"});
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        signal(SIGPIPE, SIG_IGN);
        const std::string& cache = cache_folder();
        pid = fork();
        if (pid != 0) return;
        signal(SIGPIPE, SIG_DFL);
        attach();
        setenv("CORACLE_QEMU", FAKE_GUEST, 1);
        setenv("CORACLE_KERNEL", FAKE_GUEST, 1);
        setenv("FAKE_GUEST_FAULT", fault.c_str(), 1);
        setenv("PATH", "/usr/bin:/bin", 1);
        setenv("TERM", "vt100", 1);
        setenv("XDG_CACHE_HOME", cache.c_str(), 1);
        unsetenv("ASAN_OPTIONS");
        alarm(60);  // Whatever a test waits for.
        execv(argv[0], argv.data());
        _exit(99);
    }

    static void read_some(int& fd, std::string& text) {
        char buffer[65536];
        ssize_t size = read(fd, buffer, sizeof(buffer));
        if (size > 0) {
            text.append(buffer, static_cast<size_t>(size));
        } else {
            close(fd);
            fd = -1;
        }
    }
};

std::string random_bytes(size_t size) {
    std::mt19937_64 random(7);
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
}

TEST(RunStreams, OutputErrorsAndStatus) {
    HostRun run({"sh", "-c", "echo out; echo err >&2; exit 7"});
    EXPECT_EQ(run.finish(), 7);
    EXPECT_EQ(run.out, "out\n");
    EXPECT_EQ(run.err, "err\n");
}

TEST(RunStreams, AKilledProgramGives128AndItsSignal) {
    EXPECT_EQ(HostRun({"sh", "-c", "kill -SEGV $$"}).finish(), 139);
}

TEST(RunStreams, BinaryDataBothWaysAtOnce) {
    std::string bytes = random_bytes(20 << 20);
    HostRun run({"cat"});
    EXPECT_EQ(run.finish(bytes), 0);
    EXPECT_EQ(run.out.size(), bytes.size());
    EXPECT_TRUE(run.out == bytes);
}

TEST(RunStreams, ASlowReaderOfOneStreamDoesNotHoldUpTheOther) {
    HostRun run({"sh", "-c",
                 "(head -c 3000000 /dev/zero; echo done) & echo seen >&2; read x; "
                 "echo $x >&2; wait"});
    char buffer[16];
    // Nobody reads standard output yet.
    EXPECT_EQ(read(run.errors, buffer, sizeof(buffer)), 5);
    run.type("typed\n");
    EXPECT_EQ(read(run.errors, buffer, sizeof(buffer)), 6);
    EXPECT_EQ(run.finish(), 0);
    EXPECT_EQ(run.out.size(), 3000000u + 5);
}

TEST(RunStreams, EndOfInput) {
    HostRun run({"wc", "-c"});
    EXPECT_EQ(run.finish("12345"), 0);
    EXPECT_EQ(run.out, "5\n");
}

TEST(RunStreams, AProgramThatIgnoresItsInput) {
    HostRun run({"true"});
    EXPECT_EQ(run.finish(std::string(1 << 20, 'x')), 0);
}

TEST(RunStreams, AReaderThatGoesAwayGivesSigpipe) {
    HostRun run({"yes"});
    ASSERT_TRUE(run.wait_for("y\ny\n"));
    close(run.output);
    run.output = -1;
    EXPECT_EQ(run.status(), 128 + SIGPIPE);
}

TEST(RunStreams, OutputToAFileKeepsItsPlace) {
    TemporaryFolder made;
    std::string path = made.path() + "/out";
    std::string command = "XDG_CACHE_HOME=" + cache_folder() +
                          " CORACLE_QEMU=" FAKE_GUEST " CORACLE_KERNEL=" + FAKE_GUEST +
                          " sh -c 'echo before; " + CORACLE_PROGRAM +
                          " run echo inside; echo after' > " + path;
    EXPECT_EQ(system(command.c_str()), 0);
    EXPECT_EQ(read_host_file(path), "before\ninside\nafter\n");
}

TEST(RunStreams, ArgumentsAndEnvironmentArrive) {
    HostRun run({"-e", "A=a b", "--hostname", "box", "sh", "-c",
                 "printf '%s|' \"$@\" \"$A\" $HOSTNAME", "sh", "", "two words", "-v"});
    EXPECT_EQ(run.finish(), 0);
    EXPECT_EQ(run.out, "|two words|-v|a b|box|");
}

TEST(RunSignals, AreForwarded) {
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) {
        HostRun run({"sh", "-c",
                     "trap 'echo got; exit 3' INT TERM HUP QUIT USR1 USR2; echo ready; "
                     "while :; do sleep 0.05; done"});
        ASSERT_TRUE(run.wait_for("ready\n"));
        kill(run.pid, signal);
        EXPECT_EQ(run.finish(), 3) << signal;
        EXPECT_EQ(run.out, "ready\ngot\n");
    }
}

// Sends what a user who means it would; the machine must be gone with Docker's status.
void interrupt_thrice(HostRun& run) {
    ASSERT_TRUE(run.wait_for("ready\n"));
    for (int i = 0; i < 3; ++i) {
        kill(run.pid, SIGINT);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(run.finish(), 128 + SIGKILL);
    EXPECT_EQ(run.err, "coracle: the program did not end at the third signal; it was killed\n");
}

TEST(RunSignals, TheThirdKillsAProgramThatIgnoresThem) {
    HostRun run({"sh", "-c", "trap '' INT; echo ready; while :; do sleep 0.05; done"});
    interrupt_thrice(run);
}

TEST(RunSignals, TheThirdKillsAProgramThatAnswersThemButGoesOn) {
    HostRun run({"sh", "-c", "trap 'echo no' INT; echo ready; while :; do sleep 0.05; done"});
    interrupt_thrice(run);
}

TEST(RunSignals, TheThirdKillsAWedgedMachine) {
    HostRun run({"true"}, "wedged");
    interrupt_thrice(run);
}

TEST(RunSignals, SigtermKillsAfterTheStopTimeout) {
    struct Case {
        std::vector<std::string> words;
        std::string fault;
    };
    for (const Case& each : {
             Case{{"sh", "-c", "trap '' TERM; echo ready; sleep 50"}, ""},
             Case{{"sh", "-c", "trap '' TERM; echo ready; yes"}, ""},
             Case{{"true"}, "wedged"},
         }) {
        std::vector<std::string> words = {"--stop-timeout", "1"};
        words.insert(words.end(), each.words.begin(), each.words.end());
        HostRun run(words, each.fault);
        ASSERT_TRUE(run.wait_for("ready\n"));
        auto start = std::chrono::steady_clock::now();
        kill(run.pid, SIGTERM);
        EXPECT_EQ(run.finish(), 128 + SIGKILL);
        EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
        EXPECT_EQ(run.err,
                  "coracle: the program did not end within 1 seconds of SIGTERM; it was killed\n");
    }
}

TEST(RunSignals, AProgramThatEndsInTimeKeepsItsStatus) {
    HostRun run({"--stop-timeout", "5", "sh", "-c",
                 ("trap 'sleep 1; echo late; exit 6' TERM; echo ready; "
                  "while :; do sleep 0.05; done")});
    ASSERT_TRUE(run.wait_for("ready\n"));
    kill(run.pid, SIGTERM);
    EXPECT_EQ(run.finish(), 6);
    EXPECT_EQ(run.out, "ready\nlate\n");
}

TEST(RunSignals, EndARunWhoseOutputNobodyReads) {
    HostRun run({"sh", "-c", "echo ready; head -c 150000 /dev/zero"});
    ASSERT_TRUE(run.wait_for("ready\n"));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));  // Now only the rest is awaited.
    kill(run.pid, SIGTERM);
    EXPECT_EQ(run.status(), 0);
}

TEST(RunSignals, ThatThisProcessIgnoresAreNotForwarded) {
    signal(SIGHUP, SIG_IGN);
    HostRun run({"sh", "-c", "echo ready; read x; exit 5"});
    signal(SIGHUP, SIG_DFL);
    ASSERT_TRUE(run.wait_for("ready\n"));
    kill(run.pid, SIGHUP);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    EXPECT_EQ(run.finish("line\n"), 5);
}

TEST(RunTerminal, IsRawAndHasTheHostsSize) {
    HostRun run(HostRun::OnTerminal{}, {"sh", "-c", "stty size; echo $TERM; read x; echo [$x]"});
    ASSERT_TRUE(run.wait_for("33 101\r\nvt100\r\n"));
    termios mode;
    ASSERT_EQ(tcgetattr(run.terminal, &mode), 0);
    EXPECT_EQ(mode.c_lflag & (ICANON | ECHO | ISIG), 0u);
    run.type("abc\r");
    ASSERT_TRUE(run.wait_for("[abc]\r\n"));
    EXPECT_EQ(run.status(), 0);
    ASSERT_EQ(tcgetattr(run.terminal, &mode), 0);
    EXPECT_EQ(mode.c_lflag & (ICANON | ECHO | ISIG), unsigned(ICANON | ECHO | ISIG));
}

TEST(RunTerminal, ControlCReachesTheProgramAndItsModeIsRestored) {
    HostRun run(HostRun::OnTerminal{}, {"sh", "-c", "echo ready; while :; do sleep 0.05; done"});
    ASSERT_TRUE(run.wait_for("ready"));
    run.type("\x03");
    EXPECT_EQ(run.status(), 128 + SIGINT);
    termios mode;
    ASSERT_EQ(tcgetattr(run.terminal, &mode), 0);
    EXPECT_NE(mode.c_lflag & ICANON, 0u);
}

TEST(RunTerminal, ControlCTypedThriceKillsAWedgedMachine) {
    HostRun run(HostRun::OnTerminal{}, {"true"}, "wedged");
    ASSERT_TRUE(run.wait_for("ready"));
    run.type("\x03\x03\x03");
    EXPECT_EQ(run.status(), 128 + SIGKILL);
    EXPECT_TRUE(run.wait_for("does not react to Ctrl-C"));
    termios mode;
    ASSERT_EQ(tcgetattr(run.terminal, &mode), 0);
    EXPECT_NE(mode.c_lflag & ICANON, 0u);
}

TEST(RunTerminal, ANewSizeReachesTheProgram) {
    HostRun run(HostRun::OnTerminal{}, {"sh", "-c",
                                        "trap 'stty size; exit 4' WINCH; echo ready; "
                                        "while :; do sleep 0.05; done"});
    ASSERT_TRUE(run.wait_for("ready"));
    winsize size{20, 60, 0, 0};
    ASSERT_EQ(ioctl(run.output, TIOCSWINSZ, &size), 0);
    EXPECT_TRUE(run.wait_for("20 60"));
    EXPECT_EQ(run.status(), 4);
}

TEST(RunTerminal, CanBeForced) {
    HostRun run({"-t", "tty"});
    EXPECT_EQ(run.finish(), 0);
    EXPECT_THAT(run.out, StartsWith("/dev/"));
}

TEST(RunErrors, WhatIsNotThere) {
    HostRun none({"no-such-program-anywhere"});
    EXPECT_EQ(none.finish(), 127);
    EXPECT_THAT(none.err, StartsWith("coracle: no-such-program-anywhere: not found"));
    HostRun folder({"/usr"});
    EXPECT_EQ(folder.finish(), 126);
    HostRun option({"--frobnicate", "ls"});
    EXPECT_EQ(option.finish(), 125);
    EXPECT_THAT(option.err, HasSubstr("--frobnicate"));
}

TEST(RunErrors, AMachineThatVanishes) {
    HostRun run({"true"}, "vanish");
    EXPECT_EQ(run.finish(), 125);
    EXPECT_THAT(run.err, HasSubstr("without telling the program's exit status"));
}

TEST(RunErrors, AKernelThatSpeaksSomethingElse) {
    HostRun garbage({"true"}, "garbage");
    EXPECT_EQ(garbage.finish(), 125);
    EXPECT_THAT(garbage.err, HasSubstr("not the channel's protocol"));
    HostRun version({"true"}, "version");
    EXPECT_EQ(version.finish(), 125);
    EXPECT_THAT(version.err, HasSubstr("speaks version"));
}

TEST(RunErrors, ASilentMachineIsStoppedByTheFirstInterrupt) {
    HostRun run({"true"}, "silent");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    kill(run.pid, SIGTERM);
    EXPECT_EQ(run.finish(), 128 + SIGTERM);
}

TEST(RunErrors, TheDebugExitStatusIsTheLastResort) {
    EXPECT_EQ(HostRun({"true"}, "exit-early").finish(), 42);
}

TEST(RunErrors, TheEmergencyConsoleIsShownLineByLine) {
    HostRun run({"true"}, "serial");
    EXPECT_EQ(run.finish(), 0);
    EXPECT_THAT(run.err, HasSubstr("coracle: panic: first\n"));
    EXPECT_THAT(run.err, HasSubstr("coracle: second\n"));
}

TEST(RunErrors, QemuIsMissing) {
    std::string command = "XDG_CACHE_HOME=" + cache_folder() +
                          " CORACLE_QEMU=/no/qemu CORACLE_KERNEL=" FAKE_GUEST " " +
                          CORACLE_PROGRAM + " run true 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    char line[512] = "";
    EXPECT_NE(fgets(line, sizeof(line), pipe), nullptr);
    EXPECT_EQ(WEXITSTATUS(pclose(pipe)), 125);
    EXPECT_THAT(line, HasSubstr("apt-get install qemu-system-x86"));
}

TEST(RunDryRun, PrintsTheCommandAndTheContents) {
    HostRun run({"--dry-run", "cat"});
    EXPECT_EQ(run.finish(), 0);
    EXPECT_THAT(run.out, HasSubstr("-chardev socket,id=c0,fd=3"));
    EXPECT_THAT(run.out, HasSubstr("/usr/bin/cat "));
    EXPECT_THAT(run.out, HasSubstr("l /bin -> usr/bin\n"));
}

}  // namespace
}  // namespace coracle
