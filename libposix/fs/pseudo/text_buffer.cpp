#include "libposix/fs/pseudo/text_buffer.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace coracle {
namespace {

struct Conversion {
    bool left = false, zero = false;
    size_t width = 0;
    int longs = 0;
};

}  // namespace

void TextBuffer::add(std::string_view text) {
    if (capacity_ - size_ < text.size()) {
        size_t capacity = std::max(capacity_ * 2, size_ + text.size() + 256);
        std::unique_ptr<char[]> bytes(new (std::nothrow) char[capacity]);
        if (!bytes) {
            failed_ = true;
            return;
        }
        if (size_ != 0) memcpy(bytes.get(), bytes_.get(), size_);
        bytes_ = std::move(bytes);
        capacity_ = capacity;
    }
    if (!text.empty()) memcpy(bytes_.get() + size_, text.data(), text.size());
    size_ += text.size();
}

void TextBuffer::add_repeated(char c, size_t count) {
    while (count-- > 0) add({&c, 1});
}

void TextBuffer::add_escaped(std::string_view text, std::string_view escaped) {
    for (char c : text) {
        if (escaped.find(c) == escaped.npos) {
            add({&c, 1});
            continue;
        }
        auto value = static_cast<uint8_t>(c);
        char octal[] = {'\\', static_cast<char>('0' + (value >> 6)),
                        static_cast<char>('0' + (value >> 3 & 7)),
                        static_cast<char>('0' + (value & 7))};
        add({octal, sizeof(octal)});
    }
}

void TextBuffer::print(const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
}

void TextBuffer::print_list(const char* format, va_list arguments) {
    for (const char* at = format; *at;) {
        size_t literal = 0;
        while (at[literal] != '\0' && at[literal] != '%') literal++;
        add({at, literal});
        at += literal;
        if (*at == '\0') break;
        at++;

        Conversion how;
        for (;; at++) {
            if (*at == '-') {
                how.left = true;
            } else if (*at == '0') {
                how.zero = true;
            } else {
                break;
            }
        }
        if (*at == '*') {
            how.width = static_cast<size_t>(va_arg(arguments, int));
            at++;
        }
        while (*at >= '0' && *at <= '9') {
            how.width = how.width * 10 + static_cast<size_t>(*at++ - '0');
        }
        for (; *at == 'l' || *at == 'z'; at++) how.longs++;

        char digits[24];
        std::string_view text;
        bool negative = false;
        char kind = *at++;
        if (kind == 's') {
            text = va_arg(arguments, const char*);
        } else if (kind == 'c') {
            digits[0] = static_cast<char>(va_arg(arguments, int));
            text = {digits, 1};
        } else if (kind == '%') {
            text = "%";
        } else {
            uint64_t value;
            if (kind == 'd') {
                int64_t number = how.longs ? va_arg(arguments, int64_t) : va_arg(arguments, int);
                negative = number < 0;
                value =
                    negative ? 0 - static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
            } else {
                value = how.longs ? va_arg(arguments, uint64_t) : va_arg(arguments, unsigned);
            }
            unsigned base = kind == 'x' || kind == 'X' ? 16 : kind == 'o' ? 8 : 10;
            const char* alphabet = kind == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
            char* end = digits + sizeof(digits);
            char* start = end;
            do {
                *--start = alphabet[value % base];
                value /= base;
            } while (value != 0);
            text = {start, static_cast<size_t>(end - start)};
        }
        size_t length = text.size() + negative;
        size_t padding = how.width > length ? how.width - length : 0;
        if (!how.left && !how.zero) add_repeated(' ', padding);
        if (negative) add("-");
        if (!how.left && how.zero) add_repeated('0', padding);
        add(text);
        if (how.left) add_repeated(' ', padding);
    }
}

}  // namespace coracle
