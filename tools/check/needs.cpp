#include "tools/check/needs.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <unordered_set>

#include "tools/check/direct_syscalls.h"
#include "tools/image/tree.h"
#include "tools/support/error.h"

namespace coracle {

std::map<uint32_t, SyscallRow> read_syscall_table(const std::string& path) {
    auto text = read_host_file(path);
    if (!text) {
        throw CommandError(kExitOwnFailure, fmt::format("{} is not there; build Coracle", path));
    }
    std::map<uint32_t, SyscallRow> table;
    nlohmann::json json = nlohmann::json::parse(*text);
    for (const auto& call : json.at("calls")) {
        table[call.at("number").get<uint32_t>()] = {call.at("name").get<std::string>(),
                                                    call.at("level").get<std::string>()};
    }
    return table;
}

void match_symbols(const Closure& closure, const ElfFile* image, Needs& needs) {
    // Each definition under its name and under name@version: an object without versions matches
    // any.
    std::unordered_set<std::string> defined;
    auto define = [&defined](const ElfFile& elf) {
        for (const ElfSymbol& symbol : elf.symbols) {
            if (!symbol.defined) continue;
            defined.insert(symbol.name);
            defined.insert(symbol.name + "@" + symbol.version);
        }
    };
    for (const ClosureObject& object : closure.objects) define(object.elf);
    std::unordered_set<std::string> by_objects = defined;
    if (image) define(*image);

    std::set<std::string> seen;
    for (const ClosureObject& object : closure.objects) {
        for (const ElfSymbol& symbol : object.elf.symbols) {
            if (symbol.defined) continue;
            std::string key =
                symbol.version.empty() ? symbol.name : symbol.name + "@" + symbol.version;
            if (by_objects.contains(key) || !seen.insert(key).second) continue;
            bool there = defined.contains(key);
            if (!there && symbol.weak) continue;
            ++needs.symbols_needed;
            if (!there) needs.missing_symbols.push_back({symbol.name, symbol.version, object.path});
        }
    }
}

void match_syscalls(const std::vector<std::string>& paths,
                    const std::map<uint32_t, SyscallRow>& table, Needs& needs) {
    std::map<uint32_t, SyscallNeed> calls;
    for (const std::string& path : paths) {
        DirectSyscalls found = scan_file(path);
        if (found.unknown_sites > 0) needs.unknown_sites[path] = found.unknown_sites;
        for (uint32_t number : found.numbers) {
            auto [call, added] = calls.try_emplace(number);
            if (added) {
                auto row = table.find(number);
                bool known = row != table.end();
                call->second.number = number;
                call->second.name = known ? row->second.name : fmt::format("syscall_{}", number);
                call->second.level = known ? row->second.level : "none";
            }
            call->second.made_by.insert(path);
        }
    }
    for (auto& [number, call] : calls) needs.syscalls.push_back(std::move(call));
}

}  // namespace coracle
