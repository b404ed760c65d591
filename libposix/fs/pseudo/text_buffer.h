// Text that grows, for files whose contents the kernel writes.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel-min/lib/result.h"

namespace coracle {

class TextBuffer {
  public:
    std::string_view text() const { return {bytes_.get(), size_}; }
    size_t size() const { return size_; }
    void clear() { size_ = 0; }
    // ENOMEM if anything that was added is missing.
    Result<void> status() const {
        if (failed_) return Error(ENOMEM);
        return {};
    }

    void add(std::string_view text);
    void add_repeated(char c, size_t count);
    // printf's conversions d, u, o, x, X, c, s and %, with the flags 0 and -, a width (also *), and
    // the lengths l and z.
    [[gnu::format(printf, 2, 3)]] void print(const char* format, ...);
    // A path as in /proc/self/maps: characters of `escaped` as \ooo.
    void add_escaped(std::string_view text, std::string_view escaped);

  private:
    void print_list(const char* format, va_list arguments);

    std::unique_ptr<char[]> bytes_;
    size_t size_ = 0, capacity_ = 0;
    bool failed_ = false;
};

}  // namespace coracle
