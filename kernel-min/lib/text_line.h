// A line of text put together in a fixed buffer: what does not fit is cut.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coracle {

template <size_t kCapacity = 256>
class TextLine {
  public:
    std::string_view view() const { return {text_, length_}; }
    bool is_empty() const { return length_ == 0; }
    void clear() { length_ = 0; }

    TextLine& put(std::string_view text) {
        const size_t count = std::min(text.size(), kCapacity - length_);
        std::copy_n(text.data(), count, text_ + length_);
        length_ += count;
        return *this;
    }
    TextLine& put(char character) { return put(std::string_view(&character, 1)); }
    // At least `digits` digits, without a prefix.
    TextLine& put_hex(uint64_t value, unsigned digits = 1) {
        return put_number(value, 16, digits);
    }
    TextLine& put_decimal(uint64_t value) { return put_number(value, 10, 1); }
    TextLine& pad_to(size_t column) {
        while (length_ < std::min(column, kCapacity)) text_[length_++] = ' ';
        return *this;
    }

  private:
    TextLine& put_number(uint64_t value, unsigned base, unsigned digits) {
        char reversed[20];
        unsigned count = 0;
        while (value || count < digits) {
            reversed[count++] = "0123456789abcdef"[value % base];
            value /= base;
        }
        while (count) put(reversed[--count]);
        return *this;
    }

    char text_[kCapacity];
    size_t length_ = 0;
};

}  // namespace coracle
