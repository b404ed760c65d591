#include "syscall-table/trace/line.h"

namespace coracle::trace {

void Line::put(char character) {
    if (size_ == limit_) {
        cut_ = true;
    } else {
        text_[size_++] = character;
    }
}

void Line::put(std::string_view text) {
    for (char character : text) put(character);
}

void Line::put_digits(uint64_t value, unsigned base) {
    char digits[22];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (count != 0) put(digits[--count]);
}

void Line::put_decimal(int64_t value) {
    if (value < 0) put('-');
    put_digits(value < 0 ? -static_cast<uint64_t>(value) : static_cast<uint64_t>(value), 10);
}

void Line::put_unsigned(uint64_t value) {
    put_digits(value, 10);
}

void Line::put_hex(uint64_t value) {
    if (value != 0) put("0x");
    put_digits(value, 16);
}

void Line::put_octal(uint64_t value) {
    if (value != 0) put('0');
    put_digits(value, 8);
}

void Line::put_octal3(uint64_t value) {
    if (value == 0) put("00");
    if (value != 0 && value < 010) put('0');
    put_octal(value);
}

void Line::put_pointer(uint64_t value) {
    if (value == 0) {
        put("NULL");
    } else {
        put_hex(value);
    }
}

void Line::put_quoted(const char* bytes, size_t size, bool cut) {
    put('"');
    for (size_t i = 0; i < size; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        constexpr std::string_view kEscaped = "\n\t\v\f\r\\\"";
        const size_t escape = kEscaped.find(static_cast<char>(byte));
        if (escape != std::string_view::npos) {
            put('\\');
            put("ntvfr\\\""[escape]);
        } else if (byte >= ' ' && byte < 0x7f) {
            put(static_cast<char>(byte));
        } else {
            // As few octal digits as the next character leaves unambiguous.
            const bool digit_follows = i + 1 < size && bytes[i + 1] >= '0' && bytes[i + 1] <= '9';
            put('\\');
            if (digit_follows && byte < 0100) put('0');
            if (digit_follows && byte < 010) put('0');
            put_digits(byte, 8);
        }
    }
    put('"');
    if (cut) put("...");
}

void Line::put_quoted_hex(const char* bytes, size_t size, bool cut) {
    put('"');
    for (size_t i = 0; i < size; ++i) {
        const auto byte = static_cast<unsigned char>(bytes[i]);
        put("\\x");
        put("0123456789abcdef"[byte / 16]);
        put("0123456789abcdef"[byte % 16]);
    }
    put('"');
    if (cut) put("...");
}

void Line::pad_to(size_t column) {
    while (size_ < column) put(' ');
}

void Line::mark_cut(size_t new_limit) {
    limit_ = new_limit;
    if (cut_) put("...");
    cut_ = false;
}

void Line::open_reserve() {
    mark_cut(kCapacity - kEndSize);
}

void Line::end() {
    mark_cut(kCapacity);
    put('\n');
}

}  // namespace coracle::trace
