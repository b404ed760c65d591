// Reading from a terminal: lines, single bytes, time-outs (man 3 termios).
#include <errno.h>
#include <time.h>

#include "terminal_support.h"

namespace {

double seconds() {
    timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

class TerminalInput : public TerminalTest {
  protected:
    void SetUp() override {
        TerminalTest::SetUp();
        if (IsSkipped()) return;
        tcflush(fd_, TCIFLUSH);
        change_settings([](termios& settings) { settings.c_lflag &= ~ECHO; });
    }
    void leave_canonical_mode(cc_t minimum, cc_t tenths) {
        change_settings([=](termios& settings) {
            settings.c_lflag &= ~ICANON;
            settings.c_cc[VMIN] = minimum;
            settings.c_cc[VTIME] = tenths;
        });
    }
    int readable_bytes() {
        int count = -1;
        EXPECT_EQ(ioctl(fd_, FIONREAD, &count), 0);
        return count;
    }
};

TEST_F(TerminalInput, LinesComeOneByOne) {
    type("one\ntwo\n");
    ASSERT_TRUE(is_readable(2000));
    EXPECT_EQ(read_some(), "one\n");
    EXPECT_EQ(read_some(2), "tw");
    EXPECT_EQ(read_some(), "o\n");
    EXPECT_FALSE(is_readable(0));
    EXPECT_EQ(readable_bytes(), 0);
}

TEST_F(TerminalInput, AnUnfinishedLineIsNotThereYet) {
    type("abc");
    EXPECT_FALSE(is_readable(50));
    EXPECT_EQ(readable_bytes(), 0);
    type(
        "\x7f\x7f"
        "xy\r");
    EXPECT_EQ(read_some(), "axy\n");
}

TEST_F(TerminalInput, EditingKeysWork) {
    type(
        "some words\x17"
        "thing\n");
    EXPECT_EQ(read_some(), "some thing\n");
    type("dropped\x15kept\n");
    EXPECT_EQ(read_some(), "kept\n");
    type("\x16\x03\n");
    EXPECT_EQ(read_some(), "\x03\n");
}

TEST_F(TerminalInput, EndOfFileIsAnEmptyRead) {
    type("tail\x04\x04");
    EXPECT_EQ(read_some(), "tail");
    EXPECT_EQ(read_some(), "");
    EXPECT_FALSE(is_readable(0));
}

TEST_F(TerminalInput, NonblockingReadsAnswerAtOnce) {
    int flags = fcntl(fd_, F_GETFL);
    ASSERT_EQ(fcntl(fd_, F_SETFL, flags | O_NONBLOCK), 0);
    char byte;
    EXPECT_EQ(read(fd_, &byte, 1), -1);
    EXPECT_EQ(errno, EAGAIN);
    ASSERT_EQ(fcntl(fd_, F_SETFL, flags), 0);
}

TEST_F(TerminalInput, WithoutLinesEveryByteCounts) {
    leave_canonical_mode(1, 0);
    type("ab\x04\n");
    std::string read;
    while (read.size() < 4) read += read_some();
    EXPECT_EQ(read, "ab\x04\n");
}

TEST_F(TerminalInput, PollWaitsForTheMinimum) {
    leave_canonical_mode(3, 0);
    type("ab");
    EXPECT_FALSE(is_readable(50));
    type("c");
    EXPECT_TRUE(is_readable(2000));
    EXPECT_EQ(readable_bytes(), 3);
    EXPECT_EQ(read_some(), "abc");
}

TEST_F(TerminalInput, ATimeoutEndsTheRead) {
    leave_canonical_mode(0, 2);
    char byte;
    double start = seconds();
    EXPECT_EQ(read(fd_, &byte, 1), 0);
    EXPECT_GE(seconds() - start, 0.15);
    leave_canonical_mode(0, 0);
    EXPECT_EQ(read(fd_, &byte, 1), 0);
}

TEST_F(TerminalInput, ThePauseBetweenBytesEndsTheRead) {
    leave_canonical_mode(10, 1);
    type("abc");
    char bytes[10];
    EXPECT_EQ(read(fd_, bytes, sizeof(bytes)), 3);
}

TEST_F(TerminalInput, FlushingForgetsWhatWasTyped) {
    type("forgotten\n");
    ASSERT_TRUE(is_readable(2000));
    ASSERT_EQ(tcflush(fd_, TCIFLUSH), 0);
    EXPECT_FALSE(is_readable(20));
    type("kept\n");
    EXPECT_EQ(read_some(), "kept\n");
}

TEST_F(TerminalInput, AHostilePointerIsRefused) {
    type("x\n");
    ASSERT_TRUE(is_readable(2000));
    char* volatile nowhere = reinterpret_cast<char*>(8);
    EXPECT_EQ(read(fd_, nowhere, 10), -1);
    EXPECT_EQ(errno, EFAULT);
}

}  // namespace
