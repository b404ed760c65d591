// The host program's own words: whole lines on standard error, "coracle: " before each.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace coracle {

// Prints `text`, which may hold several lines. In raw mode lines end with CR LF.
void say_text(std::string_view text);

// While the terminal is raw, the host does not map newlines.
void set_say_raw(bool raw);

void set_verbose(bool verbose);
bool is_verbose();

template <typename... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
    say_text(fmt::format(format, std::forward<Args>(args)...));
}

// Only with --verbose; the line starts with the milliseconds since the command started.
void say_verbose_text(std::string_view text);

template <typename... Args>
void say_verbose(fmt::format_string<Args...> format, Args&&... args) {
    if (is_verbose()) say_verbose_text(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace coracle
