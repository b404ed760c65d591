// A line of the trace: text in a fixed buffer, without allocation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coracle::trace {

class Line {
  public:
    // What does not fit is left out, but for the last kReserve bytes, which are kept for the
    // result: a line that was cut still tells how the call ended.
    static constexpr size_t kCapacity = 1024;
    static constexpr size_t kReserve = 192;
    static constexpr size_t kEndSize = 4;  // `...` and the newline

    void put(char character);
    void put(std::string_view text);
    void put_decimal(int64_t value);
    void put_unsigned(uint64_t value);
    void put_hex(uint64_t value);      // 0x2a; 0 for zero
    void put_octal(uint64_t value);    // 052; 0 for zero
    void put_octal3(uint64_t value);   // at least three digits, as strace prints permissions
    void put_pointer(uint64_t value);  // NULL or hexadecimal

    // `"..."` with C escapes; `cut` adds `...` behind it.
    void put_quoted(const char* bytes, size_t size, bool cut);
    void put_quoted_hex(const char* bytes, size_t size, bool cut);

    void pad_to(size_t column);
    // Ends the arguments: marks what was cut and opens the reserve.
    void open_reserve();
    // Ends the line, with a mark if the result was cut too, and a newline.
    void end();

    std::string_view text() const { return {text_, size_}; }

  private:
    void put_digits(uint64_t value, unsigned base);
    void mark_cut(size_t new_limit);

    size_t size_ = 0;
    size_t limit_ = kCapacity - kReserve;
    bool cut_ = false;
    char text_[kCapacity];
};

}  // namespace coracle::trace
