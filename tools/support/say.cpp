#include "tools/support/say.h"

#include <unistd.h>

#include <chrono>
#include <string>

namespace coracle {
namespace {

bool raw_lines = false;
bool verbose_lines = false;
const auto start_time = std::chrono::steady_clock::now();

void write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t written = write(STDERR_FILENO, bytes.data(), bytes.size());
        if (written < 0) return;  // Nobody can be told.
        bytes.remove_prefix(static_cast<size_t>(written));
    }
}

}  // namespace

void set_say_raw(bool raw) {
    raw_lines = raw;
}
void set_verbose(bool verbose) {
    verbose_lines = verbose;
}
bool is_verbose() {
    return verbose_lines;
}

void say_text(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        size_t end = text.find('\n');
        out += "coracle: ";
        out += text.substr(0, end);
        out += raw_lines ? "\r\n" : "\n";
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    write_all(out);
}

void say_verbose_text(std::string_view text) {
    std::chrono::duration<double, std::milli> elapsed =
        std::chrono::steady_clock::now() - start_time;
    say_text(fmt::format("[{:8.2f} ms] {}", elapsed.count(), text));
}

}  // namespace coracle
