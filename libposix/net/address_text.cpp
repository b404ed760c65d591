#include "libposix/net/address_text.h"

#include "libposix/net/prefix.h"

namespace coracle::net {

namespace {

// The digits at the front, which are taken off; nothing if there are none or more than `limit`.
std::optional<unsigned> take_number(std::string_view& text, unsigned base, size_t limit) {
    unsigned value = 0;
    size_t digits = 0;
    while (digits < text.size()) {
        char c = text[digits];
        unsigned digit = c >= '0' && c <= '9'   ? c - '0'
                         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                : base;
        if (digit >= base) break;
        if (++digits > limit) return std::nullopt;
        value = value * base + digit;
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

bool parse_v4(std::string_view text, uint8_t* to) {
    for (int i = 0; i < 4; i++) {
        if (i > 0) {
            if (!text.starts_with('.')) return false;
            text.remove_prefix(1);
        }
        auto number = take_number(text, 10, 3);
        if (!number || *number > 255) return false;
        to[i] = static_cast<uint8_t>(*number);
    }
    return text.empty();
}

bool parse_v6(std::string_view text, uint8_t* to) {
    uint8_t bytes[16] = {};
    size_t at = 0, gap = 17;
    if (text.starts_with("::")) {
        gap = 0;
        text.remove_prefix(2);
    }
    while (!text.empty()) {
        if (at <= 12 && text.find(':') == text.npos && text.find('.') != text.npos) {
            if (!parse_v4(text, bytes + at)) return false;
            at += 4;
            break;
        }
        auto number = take_number(text, 16, 4);
        if (!number || at == 16) return false;
        write_be16(bytes + at, static_cast<uint16_t>(*number));
        at += 2;
        if (text.empty()) break;
        if (!text.starts_with(':')) return false;
        text.remove_prefix(1);
        if (text.empty()) return false;
        if (text.starts_with(':')) {
            if (gap != 17) return false;
            gap = at;
            text.remove_prefix(1);
        }
    }
    if (gap == 17) {
        if (at != 16) return false;
        memcpy(to, bytes, 16);
        return true;
    }
    if (at == 16) return false;
    memset(to, 0, 16);
    memcpy(to, bytes, gap);
    memcpy(to + 16 - (at - gap), bytes + gap, at - gap);
    return true;
}

}  // namespace

std::optional<IpAddress> parse_address(std::string_view text) {
    uint8_t bytes[16];
    if (parse_v4(text, bytes)) return IpAddress::from_v4_bytes(bytes);
    if (parse_v6(text, bytes)) return IpAddress::from_v6_bytes(bytes);
    return std::nullopt;
}

std::optional<AddressWithPrefix> parse_address_with_prefix(std::string_view text) {
    size_t slash = text.find('/');
    if (slash == text.npos) return std::nullopt;
    auto address = parse_address(text.substr(0, slash));
    text.remove_prefix(slash + 1);
    auto length = take_number(text, 10, 3);
    if (!address || !length || !text.empty() || *length > full_prefix(*address))
        return std::nullopt;
    return AddressWithPrefix{*address, static_cast<uint8_t>(*length)};
}

}  // namespace coracle::net
