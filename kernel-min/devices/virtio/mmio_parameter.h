// Linux's kernel parameter virtio_mmio.device=SIZE@BASE:IRQ[:ID] (kernel-parameters.txt).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace coracle::virtio {

struct MmioParameter {
    uint64_t size;
    uint64_t base;
    unsigned interrupt_line;

    // The value behind "virtio_mmio.device=". Nothing if it is malformed.
    static std::optional<MmioParameter> parse(std::string_view value);
};

// Calls visit(const MmioParameter&) for each well-formed one of the command line.
template <typename Visit>
void for_each_mmio_parameter(std::string_view command_line, Visit visit) {
    constexpr std::string_view kKey = "virtio_mmio.device=";
    while (!command_line.empty()) {
        size_t end = command_line.find(' ');
        std::string_view word = command_line.substr(0, end);
        command_line.remove_prefix(end == command_line.npos ? command_line.size() : end + 1);
        if (!word.starts_with(kKey)) continue;
        if (auto parameter = MmioParameter::parse(word.substr(kKey.size()))) visit(*parameter);
    }
}

}  // namespace coracle::virtio
