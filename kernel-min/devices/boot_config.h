// What to run and how: the keys of kernel-min/abi/channel.h, from the host's kConfig frame or from
// the words of the kernel command line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "kernel-min/abi/channel.h"
#include "kernel-min/lib/result.h"

namespace coracle {

struct BootConfig {
    // NUL-terminated strings that live as long as the BootConfig.
    const char* program = nullptr;
    std::span<const char* const> arguments;  // argv
    std::span<const char* const> environment;
    std::span<const char* const> read_only_paths;
    std::span<const char* const> addresses;  // ADDRESS/PREFIX of the first network card
    const char* gateway = nullptr;
    const char* working_directory = "/";
    const char* hostname = nullptr;
    uint64_t clock_ns = 0;  // since 1970; 0: not told
    uint32_t uid = 0, gid = 0;
    bool is_terminal[3] = {};  // by descriptor
    channel::WindowSize window = {24, 80, 0, 0};
    bool cooked = false;
    bool own_libc = false;
    bool trace = false;
    bool verbose = false;
    bool dhcp = false;
    bool statistics = false;

    // Takes over `text`: NUL-terminated "key=value" strings, one after the other. Unknown keys are
    // skipped, for hosts that are newer. EINVAL if the last string has no NUL, if a number is
    // none, or if there is no program; ENOMEM.
    static Result<BootConfig> parse(std::unique_ptr<char[]> text, size_t size);

    // From the command line's words that have one of the keys above; the others belong to the
    // kernel or to QEMU. '%' and two hexadecimal digits stand for a byte.
    static Result<BootConfig> parse_command_line(std::string_view line);

  private:
    Result<void> apply(std::string_view key, const char* value);

    std::unique_ptr<char[]> text_;
    std::unique_ptr<const char*[]> pointers_;  // of arguments, environment, read_only_paths,
                                               // addresses
};

}  // namespace coracle
