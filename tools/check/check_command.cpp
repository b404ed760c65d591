#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tools/check/needs.h"
#include "tools/cli/commands.h"
#include "tools/image/program.h"
#include "tools/image/root_plan.h"
#include "tools/support/build_files.h"
#include "tools/support/error.h"

namespace coracle {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Report {
    std::string program;
    std::string libc;  // "builtin", "own" (its own loader), "static".
    Closure closure;
    std::set<std::string> builtin_libraries;
    Needs needs;

    std::vector<const SyscallNeed*> missing_syscalls() const {
        std::vector<const SyscallNeed*> missing;
        for (const SyscallNeed& call : needs.syscalls) {
            if (call.level == "none") missing.push_back(&call);
        }
        return missing;
    }
    size_t missing() const {
        return closure.missing.size() + needs.missing_symbols.size() + missing_syscalls().size();
    }
};

Report examine(const CheckOptions& options) {
    Tree tree(options.rootfs);
    char folder[PATH_MAX];
    std::string here = options.rootfs.empty() && getcwd(folder, sizeof(folder)) ? folder : "/";
    const char* path = std::getenv("PATH");
    std::string search_path = options.rootfs.empty() && path ? path : kDefaultPath;
    Program program = find_program(tree, options.program, here, search_path);

    Report report;
    report.program = program.path;
    report.closure = find_closure(tree, program.path, {});
    const std::string& interpreter = report.closure.objects.front().elf.interpreter;
    bool builtin = interpreter.find("ld-linux-x86-64") != std::string::npos &&
                   report.closure.glibc_minor() <= kImageGlibcMinor;
    report.libc = interpreter.empty() ? "static" : builtin ? "builtin" : "own";
    std::vector<std::string> scanned;
    if (builtin) {
        for (const ClosureObject& object : report.closure.objects) {
            for (const std::string& name : object.elf.needed) {
                if (is_builtin_library(name)) report.builtin_libraries.insert(name);
            }
        }
        std::string image_path = build_file("libposix/libc/libc-image.elf");
        auto image = ElfFile::read(image_path);
        if (!image) {
            throw CommandError(kExitOwnFailure,
                               fmt::format("{} is not there; build Coracle", image_path));
        }
        match_symbols(report.closure, &*image, report.needs);
    } else if (report.libc == "own") {
        ClosureOptions own;
        own.builtin_libc = false;
        report.closure = find_closure(tree, program.path, own);
        scanned.push_back(tree.host(tree.resolve(interpreter).path));
    }
    for (const ClosureObject& object : report.closure.objects) {
        scanned.push_back(tree.host(tree.resolve(object.path).path));
    }
    match_syscalls(scanned, read_syscall_table(build_file("syscall-table/syscalls.json")),
                   report.needs);
    return report;
}

void print_json(const Report& report) {
    nlohmann::ordered_json json;
    json["program"] = report.program;
    json["libc"] = report.libc;
    json["libraries"] = nlohmann::json::array();
    for (size_t i = 1; i < report.closure.objects.size(); ++i) {
        json["libraries"].push_back(report.closure.objects[i].path);
    }
    json["builtin_libraries"] = report.builtin_libraries;
    json["missing_libraries"] = nlohmann::json::array();
    for (const MissingLibrary& library : report.closure.missing) {
        json["missing_libraries"].push_back(
            {{"name", library.name}, {"wanted_by", library.wanted_by}});
    }
    json["symbols_needed"] = report.needs.symbols_needed;
    json["missing_symbols"] = nlohmann::json::array();
    for (const MissingSymbol& symbol : report.needs.missing_symbols) {
        json["missing_symbols"].push_back(
            {{"name", symbol.name}, {"version", symbol.version}, {"wanted_by", symbol.wanted_by}});
    }
    json["direct_syscalls"] = nlohmann::json::array();
    for (const SyscallNeed& call : report.needs.syscalls) {
        json["direct_syscalls"].push_back({{"number", call.number},
                                           {"name", call.name},
                                           {"level", call.level},
                                           {"made_by", call.made_by}});
    }
    json["direct_syscalls_of_unknown_number"] = report.needs.unknown_sites;
    json["missing"] = report.missing();
    fmt::print("{}\n", json.dump(2));
}

void print_text(const Report& report) {
    std::string libc = report.libc == "builtin" ? "the libc image stands in for its glibc"
                       : report.libc == "own"   ? "runs with its own loader and libc"
                                                : "static, brings its own libc";
    fmt::print("{}: {}\n", report.program, libc);
    fmt::print("libraries: {} found, {} built in, {} missing\n", report.closure.objects.size() - 1,
               report.builtin_libraries.size(), report.closure.missing.size());
    for (const MissingLibrary& library : report.closure.missing) {
        fmt::print("  missing: {} (for {})\n", library.name, library.wanted_by);
    }
    if (report.libc == "builtin") {
        fmt::print("libc symbols: {} needed, {} missing\n", report.needs.symbols_needed,
                   report.needs.missing_symbols.size());
    }
    for (const MissingSymbol& symbol : report.needs.missing_symbols) {
        fmt::print("  missing: {}{}{} (for {})\n", symbol.name, symbol.version.empty() ? "" : "@",
                   symbol.version, symbol.wanted_by);
    }
    auto missing = report.missing_syscalls();
    fmt::print("system calls made without libc: {}, {} missing\n", report.needs.syscalls.size(),
               missing.size());
    for (const SyscallNeed* call : missing) {
        fmt::print("  missing: {} (for {})\n", call->name, fmt::join(call->made_by, ", "));
    }
    for (const SyscallNeed& call : report.needs.syscalls) {
        if (call.level == "partial") {
            fmt::print("  in part: {}, see docs/syscalls.md (for {})\n", call.name,
                       fmt::join(call.made_by, ", "));
        }
    }
    for (const auto& [path, sites] : report.needs.unknown_sites) {
        fmt::print("  not known: {} in {}, whose numbers are computed\n", sites, path);
    }
    fmt::print("{}\n", report.missing() == 0 ? "all of it is there"
                                             : fmt::format("{} missing", report.missing()));
}

}  // namespace

int check_command(const CheckOptions& options) {
    Report report = examine(options);
    if (options.json) {
        print_json(report);
    } else {
        print_text(report);
    }
    return report.missing() == 0 ? 0 : 1;
}

}  // namespace coracle
