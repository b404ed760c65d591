// The trace of real programs against the lines that strace prints of the same programs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <fstream>

#include "mini_strace.h"

namespace {

using Strings = std::vector<std::string>;

const Strings kEnvironment = {"PATH=/usr/bin:/bin", "LC_ALL=C"};

// The lines of strace, started as mini_strace.cpp starts the program itself, so that both see the
// same addresses and descriptors.
Strings strace(const Strings& arguments) {
    char output[] = "/tmp/coracle-strace-XXXXXX";
    close(mkstemp(output));
    Strings command = {"/usr/bin/strace", "-o", output, "--"};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const pid_t pid = fork();
    if (pid == 0) {
        std::vector<char*> argv, envp;
        for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
        for (const std::string& word : kEnvironment)
            envp.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        envp.push_back(nullptr);
        personality(ADDR_NO_RANDOMIZE);
        const int null = open("/dev/null", O_RDWR);
        for (int fd = 0; fd < 3; ++fd) dup2(null, fd);
        if (null > 2) close(null);
        execve(argv[0], argv.data(), envp.data());
        _exit(127);
    }
    int status;
    waitpid(pid, &status, 0);
    Strings lines;
    std::ifstream file(output);
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    unlink(output);
    return lines;
}

// Whole numbers: not digits of another one.
void replace_number(std::string& text, const std::string& from, const std::string& to) {
    const auto is_digit_at = [&](size_t at) {
        return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at]));
    };
    for (size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
        if ((at > 0 && is_digit_at(at - 1)) || is_digit_at(at + from.size())) {
            at += from.size();
            continue;
        }
        text.replace(at, from.size(), to);
        at += to.size();
    }
}

// Takes out what differs between two runs of one program: the process's number, where its
// environment was before the execve, and what is left of a clock or of randomness.
Strings without_chance(Strings lines) {
    std::string pid = "none";
    for (const std::string& line : lines) {
        if (line.starts_with("set_tid_address(")) pid = line.substr(line.rfind(' ') + 1);
    }
    for (std::string& line : lines) {
        replace_number(line, pid, "PID");
        if (line.starts_with("execve(")) {
            const size_t environment = line.find("], 0x");
            if (environment != std::string::npos) {
                line.erase(environment + 3, line.find(" /*") - environment - 3);
            }
        } else if (line.starts_with("getrandom(\"")) {
            line.erase(11, line.find("\", ") - 11);
        } else if (line.starts_with("rt_sigreturn(")) {
            line = line.substr(0, 13);  // its argument is a frame on the stack: not decoded
        }
    }
    return lines;
}

class AgainstStrace : public testing::TestWithParam<Strings> {};

TEST_P(AgainstStrace, SameLines) {
    Strings expected, actual;
    // Once more with other process numbers, in case one was a number of something else's.
    for (int tries = 0; tries < 3 && (tries == 0 || actual != expected); ++tries) {
        expected = without_chance(strace(GetParam()));
        actual = without_chance(trace_program(GetParam(), kEnvironment));
    }
    ASSERT_GT(expected.size(), 5u) << "strace did not run";
    for (size_t i = 0; i < std::min(expected.size(), actual.size()); ++i) {
        EXPECT_EQ(actual[i], expected[i]) << "line " << i + 1;
    }
    EXPECT_EQ(actual.size(), expected.size());
}

INSTANTIATE_TEST_SUITE_P(Programs, AgainstStrace,
                         testing::Values(Strings{TRACE_SUBJECT}, Strings{"/bin/true"},
                                         Strings{"/bin/ls", "-l", "/etc/apt"},
                                         Strings{"/bin/cat", "/etc/passwd"}, Strings{"/usr/bin/id"},
                                         Strings{"/bin/uname", "-a"}, Strings{"/bin/date"},
                                         Strings{"/bin/sleep", "0.01"},
                                         Strings{"/usr/bin/getent", "passwd", "root"},
                                         Strings{"/usr/bin/stty", "-a"}),
                         [](const auto& test) {
                             const std::string& path = test.param.front();
                             return path.substr(path.rfind('/') + 1);
                         });

}  // namespace
