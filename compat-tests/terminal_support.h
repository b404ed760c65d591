// What the terminal tests share: a terminal to try, and a keyboard for it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <string>

// Standard input if it is a terminal, else a pseudo terminal of our own. Settings are put back.
class TerminalTest : public testing::Test {
  protected:
    void SetUp() override {
        if (isatty(STDIN_FILENO)) {
            fd_ = dup(STDIN_FILENO);
        } else {
            master_ = posix_openpt(O_RDWR | O_NOCTTY);
            if (master_ < 0) GTEST_SKIP() << "no terminal, and no pseudo terminals";
            ASSERT_EQ(grantpt(master_), 0);
            ASSERT_EQ(unlockpt(master_), 0);
            fd_ = open(ptsname(master_), O_RDWR | O_NOCTTY);
        }
        ASSERT_GE(fd_, 0);
        ASSERT_EQ(tcgetattr(fd_, &saved_), 0);
    }
    void TearDown() override {
        if (fd_ >= 0) {
            tcflush(fd_, TCIFLUSH);
            tcsetattr(fd_, TCSANOW, &saved_);
            close(fd_);
        }
        if (master_ >= 0) close(master_);
    }

    template <typename Change>
    void change_settings(Change change) {
        termios settings;
        ASSERT_EQ(tcgetattr(fd_, &settings), 0);
        change(settings);
        ASSERT_EQ(tcsetattr(fd_, TCSANOW, &settings), 0);
    }

    // As if somebody typed it.
    void type(const std::string& keys) {
        if (master_ >= 0) {
            ASSERT_EQ(write(master_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
            return;
        }
        for (char key : keys) ASSERT_EQ(ioctl(fd_, TIOCSTI, &key), 0);
    }

    bool is_readable(int timeout_ms) {
        pollfd entry = {fd_, POLLIN, 0};
        return poll(&entry, 1, timeout_ms) == 1 && entry.revents & POLLIN;
    }

    // One read(2), when there is something.
    std::string read_some(size_t size = 4096) {
        if (!is_readable(2000)) return "(nothing to read)";
        std::string bytes(size, '\0');
        ssize_t count = read(fd_, bytes.data(), size);
        bytes.resize(count < 0 ? 0 : count);
        return bytes;
    }

    int fd_ = -1;

  private:
    int master_ = -1;
    termios saved_ = {};
};
