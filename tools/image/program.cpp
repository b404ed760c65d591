#include "tools/image/program.h"

#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>

#include "tools/image/elf_file.h"
#include "tools/support/error.h"

namespace coracle {
namespace {

constexpr int kMaxInterpreters = 5;    // As Linux: a script's interpreter may be a script.
constexpr size_t kMaxFirstLine = 256;  // As Linux: BINPRM_BUF_SIZE.

std::vector<std::string> split(const std::string& text, char separator) {
    std::vector<std::string> parts;
    size_t start = 0;
    while (true) {
        size_t end = text.find(separator, start);
        parts.push_back(text.substr(start, end - start));
        if (end == std::string::npos) return parts;
        start = end + 1;
    }
}

std::string machine_name(uint16_t machine) {
    switch (machine) {
        case EM_386:
            return "32-bit x86";
        case EM_AARCH64:
            return "arm64";
        case EM_ARM:
            return "32-bit ARM";
        case EM_RISCV:
            return "RISC-V";
        case EM_PPC64:
            return "PowerPC";
        case EM_S390:
            return "s390x";
        case EM_MIPS:
            return "MIPS";
        case EM_X86_64:
            return "x32";
        default:
            return fmt::format("ELF machine {}", machine);
    }
}

std::optional<std::string> search(const Tree& tree, const std::string& name,
                                  const std::string& folder, const std::string& search_path) {
    std::optional<std::string> not_executable;
    for (const std::string& place : split(search_path, ':')) {
        std::string path = (place.empty() ? folder : place) + "/" + name;
        if (!path.starts_with('/')) path = folder + "/" + path;
        auto info = tree.stat(path);
        if (!info || !S_ISREG(info->st_mode)) continue;
        if (info->st_mode & 0111) return path;
        if (!not_executable) not_executable = path;
    }
    return not_executable;
}

// The first bytes of a file.
std::string head(const std::string& host_path) {
    std::ifstream file(host_path, std::ios::binary);
    std::string bytes(kMaxFirstLine, '\0');
    file.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    bytes.resize(static_cast<size_t>(file.gcount()));
    return bytes;
}

// "#! interpreter [argument]" without the "#!": one or two words, or none.
std::vector<std::string> interpreter_line(const std::string& bytes) {
    std::string line = bytes.substr(2, bytes.find('\n') - 2);
    constexpr char kBlanks[] = " \t";
    size_t start = line.find_first_not_of(kBlanks);
    if (start == std::string::npos) return {};
    size_t end = line.find_first_of(kBlanks, start);
    std::vector<std::string> words = {line.substr(start, end - start)};
    size_t argument = line.find_first_not_of(kBlanks, end);
    if (end != std::string::npos && argument != std::string::npos) {
        words.push_back(line.substr(argument, line.find_last_not_of(kBlanks) - argument + 1));
    }
    return words;
}

// `#!/usr/bin/env NAME` is what env(1) would make of it, so that only NAME needs to be there.
void replace_env(const Tree& tree, std::vector<std::string>& words, const std::string& folder,
                 const std::string& search_path) {
    if (words.size() != 2 || base_name(words[0]) != "env") return;
    std::string rest = words[1];
    if (rest.starts_with("-S")) rest = rest.substr(rest.find_first_not_of(" \t", 2));
    std::vector<std::string> parts = split(rest, ' ');
    if (parts[0].empty() || parts[0][0] == '-' || parts[0].find('=') != std::string::npos) return;
    if (parts.size() > 1 && !words[1].starts_with("-S")) return;
    auto found = search(tree, parts[0], folder, search_path);
    if (!found) return;
    parts[0] = *found;
    words = parts;
}

void check_executable(const Tree& tree, const std::string& path) {
    Resolved resolved = tree.resolve(path);
    if (!resolved.found) {
        const char* hint = resolved.error == ENOENT ? "not found" : strerror(resolved.error);
        throw CommandError(kExitNotFound, fmt::format("{}: {}", path, hint));
    }
    if (S_ISDIR(resolved.info.st_mode)) {
        throw CommandError(kExitNotExecutable,
                           fmt::format("{}: is a folder; name a program in it", path));
    }
    if (!S_ISREG(resolved.info.st_mode)) {
        throw CommandError(kExitNotExecutable, fmt::format("{}: is not a regular file", path));
    }
    if (!(resolved.info.st_mode & 0111)) {
        throw CommandError(kExitNotExecutable,
                           fmt::format("{0}: is not executable; chmod +x {0}, or name the "
                                       "interpreter before it",
                                       path));
    }
    if (access(tree.host(resolved.path).c_str(), R_OK) != 0) {
        throw CommandError(kExitNotExecutable,
                           fmt::format("{}: you may not read it, so it cannot be packed", path));
    }
}

}  // namespace

Program find_program(const Tree& tree, const std::string& name, const std::string& folder,
                     const std::string& search_path) {
    Program program;
    if (name.empty()) throw CommandError(kExitNotFound, "the program's name is empty");
    if (name.find('/') == std::string::npos) {
        auto found = search(tree, name, folder, search_path);
        if (!found) {
            throw CommandError(kExitNotFound,
                               fmt::format("{}: not found in {}; give its path if it is elsewhere",
                                           name, search_path));
        }
        program.path = *found;
    } else {
        program.path = name.starts_with('/') ? name : folder + "/" + name;
    }
    // `..` behind a link leads elsewhere than the text says.
    std::string normal = normal_path(program.path);
    if (tree.resolve(normal).path == tree.resolve(program.path).path) program.path = normal;
    program.arguments = {name};

    for (int depth = 0;; ++depth) {
        check_executable(tree, program.path);
        std::string host_path = tree.host(tree.resolve(program.path).path);
        std::string bytes = head(host_path);
        if (bytes.starts_with("\x7f"
                              "ELF")) {
            auto elf = ElfFile::read(host_path);
            if (!elf || (elf->type != ET_EXEC && elf->type != ET_DYN)) {
                throw CommandError(kExitNotExecutable,
                                   fmt::format("{}: is an ELF file but no program", program.path));
            }
            if (elf->is_x86_64()) return program;
            throw CommandError(kExitNotExecutable,
                               fmt::format("{}: is a program for {}; a 64-bit x86 one is needed",
                                           program.path, machine_name(elf->machine)));
        }
        std::vector<std::string> words;
        if (bytes.starts_with("#!") && depth < kMaxInterpreters) words = interpreter_line(bytes);
        if (words.empty()) {
            throw CommandError(kExitNotExecutable,
                               fmt::format("{}: is neither an ELF program nor a script that "
                                           "starts with #! and its interpreter",
                                           program.path));
        }
        replace_env(tree, words, folder, search_path);
        if (!words[0].starts_with('/')) words[0] = folder + "/" + words[0];
        if (program.script.empty()) program.script = program.path;
        // Linux gives the interpreter the path that was executed, not argv[0].
        program.arguments[0] = program.path;
        program.arguments.insert(program.arguments.begin(), words.begin(), words.end());
        std::string script = program.path;
        program.path = words[0];
        if (!tree.resolve(program.path).found) {
            throw CommandError(kExitNotFound, fmt::format("{}: its interpreter {} is not there",
                                                          script, program.path));
        }
    }
}

}  // namespace coracle
