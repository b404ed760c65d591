#include "kernel-min/devices/boot_config.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

namespace coracle {
namespace {

Result<BootConfig> parse(const std::string& text) {
    std::unique_ptr<char[]> copy(new char[text.size()]);
    memcpy(copy.get(), text.data(), text.size());
    return BootConfig::parse(std::move(copy), text.size());
}

std::vector<std::string> strings(std::span<const char* const> list) {
    return {list.begin(), list.end()};
}

TEST(BootConfig, ReadsEveryKey) {
    using namespace std::string_literals;
    auto config = parse(
        "program=/bin/echo\0arg=echo\0env=A=1\0arg=a b=c\0arg=\0env=B=\0cwd=/tmp\0clock=123456789\0"
        "tty=1\0tty=2\0cooked=1\0rows=33\0columns=101\0xpixels=5\0ypixels=6\0hostname=h\0"
        "libc=own\0trace=1\0verbose=1\0uid=7\0gid=8\0ro=/x\0"
        "future=1\0no equals sign\0"s);
    ASSERT_TRUE(config.ok());
    EXPECT_STREQ(config->program, "/bin/echo");
    EXPECT_EQ(strings(config->arguments), (std::vector<std::string>{"echo", "a b=c", ""}));
    EXPECT_EQ(strings(config->environment), (std::vector<std::string>{"A=1", "B="}));
    EXPECT_EQ(strings(config->read_only_paths), (std::vector<std::string>{"/x"}));
    EXPECT_STREQ(config->working_directory, "/tmp");
    EXPECT_STREQ(config->hostname, "h");
    EXPECT_EQ(config->clock_ns, 123456789u);
    EXPECT_EQ(config->uid, 7u);
    EXPECT_EQ(config->gid, 8u);
    EXPECT_FALSE(config->is_terminal[0]);
    EXPECT_TRUE(config->is_terminal[1]);
    EXPECT_TRUE(config->is_terminal[2]);
    EXPECT_EQ(config->window.rows, 33);
    EXPECT_EQ(config->window.columns, 101);
    EXPECT_EQ(config->window.x_pixels, 5);
    EXPECT_EQ(config->window.y_pixels, 6);
    EXPECT_TRUE(config->cooked && config->own_libc && config->trace && config->verbose);
}

TEST(BootConfig, HasDefaults) {
    auto config = parse(std::string("program=/p\0", 11));
    ASSERT_TRUE(config.ok());
    EXPECT_TRUE(config->arguments.empty());
    EXPECT_STREQ(config->working_directory, "/");
    EXPECT_EQ(config->uid, 0u);
    EXPECT_FALSE(config->trace || config->own_libc || config->is_terminal[0]);
}

TEST(BootConfig, RefusesBadText) {
    using namespace std::string_literals;
    for (const std::string& text :
         {""s, "arg=x\0"s, "program=/p"s, "program=/p\0uid=\0"s, "program=/p\0uid=4294967296\0"s,
          "program=/p\0clock=1x\0"s, "program=/p\0tty=3\0"s,
          "program=/p\0clock=18446744073709551616\0"s}) {
        EXPECT_EQ(parse(text).error_code(), EINVAL) << text;
    }
}

TEST(BootConfig, ReadsTheCommandLine) {
    auto config = BootConfig::parse_command_line(
        "console=ttyS0  program=/bin/sh arg=sh arg=-c arg=echo%20100%25%0A env=A=%41%zz% "
        "virtio_mmio.device=512@0xfeb00e00:12 argument=no");
    ASSERT_TRUE(config.ok());
    EXPECT_STREQ(config->program, "/bin/sh");
    EXPECT_EQ(strings(config->arguments), (std::vector<std::string>{"sh", "-c", "echo 100%\n"}));
    EXPECT_EQ(strings(config->environment), (std::vector<std::string>{"A=A%zz%"}));
    EXPECT_EQ(BootConfig::parse_command_line("console=ttyS0").error_code(), EINVAL);
}

}  // namespace
}  // namespace coracle
