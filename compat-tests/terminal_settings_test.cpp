// termios and the terminal's ioctls (man 3 termios, man 2 ioctl_tty).
#include <errno.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "terminal_support.h"

namespace {

TEST_F(TerminalTest, IsATerminalDevice) {
    EXPECT_EQ(isatty(fd_), 1);
    struct stat status;
    ASSERT_EQ(fstat(fd_, &status), 0);
    EXPECT_TRUE(S_ISCHR(status.st_mode));
    EXPECT_EQ(major(status.st_rdev), 136u);
    const char* name = ttyname(fd_);
    ASSERT_NE(name, nullptr);
    EXPECT_EQ(std::string(name).rfind("/dev/pts/", 0), 0u) << name;
}

TEST_F(TerminalTest, CannotBeSoughtOrMapped) {
    char byte;
    EXPECT_EQ(lseek(fd_, 0, SEEK_CUR), -1);
    EXPECT_EQ(errno, ESPIPE);
    EXPECT_EQ(pread(fd_, &byte, 1, 0), -1);
    EXPECT_EQ(errno, ESPIPE);
}

TEST_F(TerminalTest, SettingsComeBackAsTheyWereSet) {
    change_settings([](termios& settings) {
        settings.c_lflag &= ~(ICANON | ECHO | ISIG | IEXTEN);
        settings.c_iflag &= ~(ICRNL | IXON);
        settings.c_oflag &= ~OPOST;
        settings.c_cc[VMIN] = 3;
        settings.c_cc[VTIME] = 7;
        settings.c_cc[VINTR] = 'x';
        cfsetspeed(&settings, B115200);
    });
    termios settings;
    ASSERT_EQ(tcgetattr(fd_, &settings), 0);
    EXPECT_FALSE(settings.c_lflag & (ICANON | ECHO | ISIG | IEXTEN));
    EXPECT_FALSE(settings.c_iflag & (ICRNL | IXON));
    EXPECT_FALSE(settings.c_oflag & OPOST);
    EXPECT_EQ(settings.c_cc[VMIN], 3);
    EXPECT_EQ(settings.c_cc[VTIME], 7);
    EXPECT_EQ(settings.c_cc[VINTR], 'x');
    EXPECT_EQ(cfgetospeed(&settings), static_cast<speed_t>(B115200));
    EXPECT_EQ(settings.c_cflag & CSIZE, static_cast<tcflag_t>(CS8));
}

TEST_F(TerminalTest, WindowSizeCanBeChanged) {
    winsize before, wanted = {.ws_row = 33, .ws_col = 111, .ws_xpixel = 5, .ws_ypixel = 6}, after;
    ASSERT_EQ(ioctl(fd_, TIOCGWINSZ, &before), 0);
    ASSERT_EQ(ioctl(fd_, TIOCSWINSZ, &wanted), 0);
    ASSERT_EQ(ioctl(fd_, TIOCGWINSZ, &after), 0);
    EXPECT_EQ(after.ws_row, 33);
    EXPECT_EQ(after.ws_col, 111);
    EXPECT_EQ(after.ws_xpixel, 5);
    EXPECT_EQ(after.ws_ypixel, 6);
    EXPECT_EQ(ioctl(fd_, TIOCSWINSZ, &before), 0);
}

TEST_F(TerminalTest, BadArgumentsAreRefused) {
    int number;
    EXPECT_EQ(ioctl(fd_, TCFLSH, 3), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(ioctl(fd_, TCXONC, 4), -1);
    EXPECT_EQ(errno, EINVAL);
    EXPECT_EQ(ioctl(fd_, 0x5499, &number), -1);
    EXPECT_EQ(errno, ENOTTY);
    for (unsigned long request : {TCGETS, TCSETS, TIOCGWINSZ, TIOCSWINSZ, FIONREAD, TIOCGETD}) {
        EXPECT_EQ(ioctl(fd_, request, 8), -1) << std::hex << request;
        EXPECT_EQ(errno, EFAULT) << std::hex << request;
    }
    EXPECT_EQ(ioctl(fd_, TIOCGETD, &number), 0);
    EXPECT_EQ(number, 0);
    EXPECT_EQ(ioctl(fd_, TIOCOUTQ, &number), 0);
    EXPECT_EQ(tcsendbreak(fd_, 0), 0);
    EXPECT_EQ(tcdrain(fd_), 0);
}

}  // namespace
