#include "kernel-min/devices/boot_config.h"

#include <cstring>
#include <new>
#include <optional>

namespace coracle {

namespace {

enum class ListKey { kArgument, kEnvironment, kReadOnlyPath, kAddress, kCount };
constexpr std::string_view kListKeys[] = {"arg", "env", "ro", "ip"};
constexpr std::string_view kScalarKeys[] = {"program",  "cwd",     "clock", "tty",     "cooked",
                                            "hostname", "libc",    "trace", "verbose", "uid",
                                            "gid",      "gateway", "dhcp",  "stats",   "rows",
                                            "columns",  "xpixels", "ypixels"};

struct KeyValue {
    std::string_view key;
    const char* value;
};

// Calls visit(KeyValue) for each string that has a '='.
template <typename Visit>
Result<void> for_each_string(const char* text, size_t size, Visit visit) {
    for (size_t at = 0; at < size;) {
        size_t length = strlen(text + at);
        const char* equals = static_cast<const char*>(memchr(text + at, '=', length));
        if (equals) {
            TRY(visit(
                KeyValue{{text + at, static_cast<size_t>(equals - (text + at))}, equals + 1}));
        }
        at += length + 1;
    }
    return {};
}

std::optional<ListKey> list_key(std::string_view key) {
    for (int i = 0; i < static_cast<int>(ListKey::kCount); i++) {
        if (key == kListKeys[i]) return static_cast<ListKey>(i);
    }
    return std::nullopt;
}

bool is_known_key(std::string_view key) {
    if (list_key(key)) return true;
    for (std::string_view known : kScalarKeys) {
        if (key == known) return true;
    }
    return false;
}

Result<uint64_t> parse_number(const char* text) {
    if (!*text) return Error(EINVAL);
    uint64_t value = 0;
    for (; *text; text++) {
        if (*text < '0' || *text > '9') return Error(EINVAL);
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, static_cast<uint64_t>(*text - '0'), &value)) {
            return Error(EINVAL);
        }
    }
    return value;
}

Result<uint32_t> parse_id(const char* text) {
    uint64_t value = TRY(parse_number(text));
    if (value > UINT32_MAX) return Error(EINVAL);
    return static_cast<uint32_t>(value);
}

Result<uint16_t> parse_cells(const char* text) {
    uint64_t value = TRY(parse_number(text));
    if (value > UINT16_MAX) return Error(EINVAL);
    return static_cast<uint16_t>(value);
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Writes the decoded word and its NUL; returns how many bytes that were. A '%' that no two digits
// follow stays as it is.
size_t decode_word(std::string_view word, char* to) {
    char* start = to;
    for (size_t i = 0; i < word.size(); i++) {
        if (word[i] == '%' && i + 2 < word.size()) {
            int high = hex_digit(word[i + 1]), low = hex_digit(word[i + 2]);
            if (high >= 0 && low >= 0) {
                *to++ = static_cast<char>(high << 4 | low);
                i += 2;
                continue;
            }
        }
        *to++ = word[i];
    }
    *to++ = '\0';
    return to - start;
}

}  // namespace

Result<void> BootConfig::apply(std::string_view key, const char* value) {
    if (key == "program") {
        program = value;
    } else if (key == "cwd") {
        working_directory = value;
    } else if (key == "hostname") {
        hostname = value;
    } else if (key == "clock") {
        clock_ns = TRY(parse_number(value));
    } else if (key == "uid") {
        uid = TRY(parse_id(value));
    } else if (key == "gid") {
        gid = TRY(parse_id(value));
    } else if (key == "tty") {
        uint64_t descriptor = TRY(parse_number(value));
        if (descriptor > 2) return Error(EINVAL);
        is_terminal[descriptor] = true;
    } else if (key == "rows") {
        window.rows = TRY(parse_cells(value));
    } else if (key == "columns") {
        window.columns = TRY(parse_cells(value));
    } else if (key == "xpixels") {
        window.x_pixels = TRY(parse_cells(value));
    } else if (key == "ypixels") {
        window.y_pixels = TRY(parse_cells(value));
    } else if (key == "cooked") {
        cooked = value == std::string_view("1");
    } else if (key == "libc") {
        own_libc = value == std::string_view("own");
    } else if (key == "trace") {
        trace = value == std::string_view("1");
    } else if (key == "gateway") {
        gateway = value;
    } else if (key == "dhcp") {
        dhcp = value == std::string_view("1");
    } else if (key == "stats") {
        statistics = value == std::string_view("1");
    } else if (key == "verbose") {
        verbose = value == std::string_view("1");
    }
    return {};
}

Result<BootConfig> BootConfig::parse(std::unique_ptr<char[]> text, size_t size) {
    if (size == 0 || text[size - 1] != '\0') return Error(EINVAL);
    BootConfig config;
    size_t counts[static_cast<size_t>(ListKey::kCount)] = {};
    size_t total = 0;
    TRY(for_each_string(text.get(), size, [&](KeyValue string) -> Result<void> {
        if (auto list = list_key(string.key)) {
            counts[static_cast<size_t>(*list)]++;
            total++;
            return {};
        }
        return config.apply(string.key, string.value);
    }));
    if (!config.program) return Error(EINVAL);

    config.pointers_.reset(new (std::nothrow) const char*[total + 1]);
    if (!config.pointers_) return Error(ENOMEM);
    constexpr auto kLists = static_cast<size_t>(ListKey::kCount);
    const char** lists[kLists];
    lists[0] = config.pointers_.get();
    for (size_t i = 1; i < kLists; i++) lists[i] = lists[i - 1] + counts[i - 1];
    std::span<const char* const>* spans[kLists] = {&config.arguments, &config.environment,
                                                   &config.read_only_paths, &config.addresses};
    for (size_t i = 0; i < kLists; i++) *spans[i] = {lists[i], counts[i]};
    TRY(for_each_string(text.get(), size, [&](KeyValue string) -> Result<void> {
        if (auto list = list_key(string.key)) *lists[static_cast<size_t>(*list)]++ = string.value;
        return {};
    }));
    config.text_ = std::move(text);
    return config;
}

Result<BootConfig> BootConfig::parse_command_line(std::string_view line) {
    // Decoding never makes a word longer; its NUL takes the place of a space or the line's end.
    std::unique_ptr<char[]> text(new (std::nothrow) char[line.size() + 1]);
    if (!text) return Error(ENOMEM);
    size_t size = 0;
    while (!line.empty()) {
        size_t end = line.find(' ');
        std::string_view word = line.substr(0, end);
        line.remove_prefix(end == line.npos ? line.size() : end + 1);
        if (is_known_key(word.substr(0, word.find('=')))) {
            size += decode_word(word, text.get() + size);
        }
    }
    return parse(std::move(text), size);
}

}  // namespace coracle
