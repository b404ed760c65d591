#include "kernel-min/devices/virtio/mmio_parameter.h"

namespace coracle::virtio {

namespace {

// A decimal or 0x number at the front of `text`, which it is taken off.
std::optional<uint64_t> take_number(std::string_view& text) {
    unsigned base = 10;
    if (text.starts_with("0x") || text.starts_with("0X")) {
        base = 16;
        text.remove_prefix(2);
    }
    uint64_t value = 0;
    size_t digits = 0;
    for (; digits < text.size(); digits++) {
        char c = text[digits];
        unsigned digit = c >= '0' && c <= '9'   ? c - '0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                : base;
        if (digit >= base) break;
        if (__builtin_mul_overflow(value, uint64_t{base}, &value) ||
            __builtin_add_overflow(value, uint64_t{digit}, &value)) {
            return std::nullopt;
        }
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

bool take_char(std::string_view& text, char c) {
    if (!text.starts_with(c)) return false;
    text.remove_prefix(1);
    return true;
}

}  // namespace

std::optional<MmioParameter> MmioParameter::parse(std::string_view value) {
    auto size = take_number(value);
    if (!size) return std::nullopt;
    if (take_char(value, 'K') || take_char(value, 'k')) {
        *size <<= 10;
    } else if (take_char(value, 'M') || take_char(value, 'm')) {
        *size <<= 20;
    }
    if (!take_char(value, '@')) return std::nullopt;
    auto base = take_number(value);
    if (!base || !take_char(value, ':')) return std::nullopt;
    auto line = take_number(value);
    if (!line || *line > 0xff) return std::nullopt;
    if (take_char(value, ':') && !take_number(value)) return std::nullopt;
    if (!value.empty()) return std::nullopt;
    return MmioParameter{*size, *base, static_cast<unsigned>(*line)};
}

}  // namespace coracle::virtio
