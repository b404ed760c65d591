// syscalls.tbl against the numbers of Linux's own header.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <string>

namespace {

using Numbers = std::map<unsigned, std::string>;

TEST(SyscallTable, HasEveryCallOfLinux) {
    Numbers linux_calls;
    std::ifstream header("/usr/include/x86_64-linux-gnu/asm/unistd_64.h");
    ASSERT_TRUE(header);
    char name[64];
    unsigned number;
    for (std::string line; std::getline(header, line);) {
        if (std::sscanf(line.c_str(), "#define __NR_%63s %u", name, &number) == 2) {
            linux_calls[number] = name;
        }
    }
    ASSERT_GE(linux_calls.size(), 362u);
    std::erase_if(linux_calls, [](const auto& call) { return call.first > 450; });

    Numbers ours;
    std::ifstream table(SYSCALLS_TBL);
    ASSERT_TRUE(table);
    for (std::string line; std::getline(table, line);) {
        if (std::sscanf(line.c_str(), "%u %63s", &number, name) == 2) ours[number] = name;
    }
    std::erase_if(ours, [](const auto& call) { return call.first >= 504; });  // the libc image's
    EXPECT_EQ(ours, linux_calls);
}

}  // namespace
