#include "libposix/libc/patcher/exports.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

namespace coracle::patcher {
namespace {

constexpr uint16_t kHiddenVersion = 0x8000;

// Names of the versions that a library defines, by versym index.
std::unordered_map<uint16_t, std::string> read_version_names(const ElfImage& library) {
    std::unordered_map<uint16_t, std::string> names;
    const Elf64_Shdr* section = library.find_section(".gnu.version_d");
    if (section == nullptr) throw Error(library.path() + ": defines no versions");
    const uint64_t strings = library.sections().at(section->sh_link).sh_offset;
    uint64_t offset = section->sh_offset;
    for (uint32_t i = 0; i < section->sh_info; ++i) {
        Elf64_Verdef definition;
        Elf64_Verdaux name;
        std::memcpy(&definition, library.bytes().data() + offset, sizeof(definition));
        std::memcpy(&name, library.bytes().data() + offset + definition.vd_aux, sizeof(name));
        names[definition.vd_ndx] = library.string_at(strings + name.vda_name);
        offset += definition.vd_next;
    }
    return names;
}

std::string compat_name(const LibrarySymbol& symbol) {
    std::string version = symbol.version;
    std::replace(version.begin(), version.end(), '.', '_');
    return "compat_" + version + "_" + symbol.name;
}

bool is_function(uint8_t type) {
    return type == STT_FUNC || type == STT_GNU_IFUNC;
}

// A data object may not stand for a function. Assembler symbols without a type pass.
bool types_agree(uint8_t wanted, uint8_t found) {
    if (found == STT_NOTYPE || wanted == STT_NOTYPE) return true;
    return wanted == found || (is_function(wanted) && is_function(found));
}

}  // namespace

std::vector<LibrarySymbol> read_library_symbols(const std::string& path) {
    const ElfImage library(path);
    const auto versions = read_version_names(library);
    std::vector<LibrarySymbol> symbols;
    for (const Symbol& symbol : library.read_symbols(".dynsym")) {
        if (symbol.section == SHN_UNDEF || symbol.name.empty()) continue;
        const auto version = versions.find(symbol.version & ~kHiddenVersion);
        if (version == versions.end()) throw Error(path + ": " + symbol.name + " has no version");
        if (symbol.section == SHN_ABS && symbol.name == version->second) continue;
        symbols.push_back({symbol.name, version->second, (symbol.version & kHiddenVersion) == 0,
                           symbol.type, symbol.size, path, symbol.value});
    }
    return symbols;
}

std::map<NameAndVersion, std::string> read_aliases(const std::string& path) {
    std::ifstream file(path);
    std::map<NameAndVersion, std::string> aliases;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string name, version, symbol;
        if (!(words >> name)) continue;
        if (!(words >> version >> symbol)) throw Error(path + ": three words expected: " + line);
        if (!aliases.emplace(NameAndVersion(name, version), symbol).second)
            throw Error(path + ": twice: " + line);
    }
    if (!file.eof()) throw Error(path + ": cannot be read");
    return aliases;
}

Exports::Exports(std::vector<LibrarySymbol> wanted, const std::vector<Symbol>& image_symbols,
                 std::map<NameAndVersion, std::string> aliases)
    : wanted_(std::move(wanted)), aliases_(std::move(aliases)) {
    // The linker makes hidden symbols, which were global in the archives, local in its output. They
    // come last, behind a file symbol of their own.
    size_t index = image_symbols.size();
    while (index > 0 && image_symbols[index - 1].type != STT_FILE) --index;
    for (; index < image_symbols.size(); ++index)
        if (image_symbols[index].section != SHN_UNDEF)
            image_.emplace(image_symbols[index].name, &image_symbols[index]);
    for (const LibrarySymbol& symbol : wanted_) {
        by_name_[{symbol.library, symbol.name}].push_back(&symbol);
        if (symbol.type != STT_TLS)
            by_address_[{symbol.library, symbol.address}].push_back(&symbol);
    }
    // Several libraries may define the same name and version: one that resolves is enough.
    std::set<NameAndVersion> resolved, missed;
    std::vector<const LibrarySymbol*> unresolved;
    for (const LibrarySymbol& symbol : wanted_) {
        if (resolved.contains({symbol.name, symbol.version})) continue;
        const Symbol* implementation = find_by_name(symbol);
        if (implementation == nullptr) implementation = find_alias(symbol);
        if (implementation == nullptr) {
            unresolved.push_back(&symbol);
        } else {
            resolved.insert({symbol.name, symbol.version});
            found_.push_back({&symbol, implementation});
        }
    }
    for (const LibrarySymbol* symbol : unresolved)
        if (!resolved.contains({symbol->name, symbol->version}) &&
            missed.insert({symbol->name, symbol->version}).second)
            absent_.push_back(symbol);
}

const Symbol* Exports::find(const std::string& name) const {
    const auto found = image_.find(name);
    return found == image_.end() ? nullptr : found->second;
}

const Symbol* Exports::find_by_name(const LibrarySymbol& symbol) const {
    if (const auto alias = aliases_.find({symbol.name, symbol.version}); alias != aliases_.end()) {
        const Symbol* target = find(alias->second);
        if (target == nullptr || !types_agree(symbol.type, target->type))
            throw Error("the alias of " + symbol.name + " does not fit: " + alias->second);
        return target;
    }
    if (const Symbol* compat = find(compat_name(symbol))) return compat;
    const Symbol* same_name = find(symbol.name);
    if (same_name == nullptr || !types_agree(symbol.type, same_name->type)) return nullptr;
    if (symbol.is_default) return same_name;
    // Without a default version the newest one is what the name means.
    const Group& versions = by_name_.at({symbol.library, symbol.name});
    const auto current = std::find_if(versions.begin(), versions.end(),
                                      [](const LibrarySymbol* other) { return other->is_default; });
    if (current != versions.end())
        return (*current)->address == symbol.address ? same_name : nullptr;
    const bool single =
        std::all_of(versions.begin(), versions.end(),
                    [&](const LibrarySymbol* other) { return other->address == symbol.address; });
    return single ? same_name : nullptr;
}

const Symbol* Exports::find_alias(const LibrarySymbol& symbol) const {
    if (symbol.type == STT_TLS) return nullptr;
    for (const LibrarySymbol* other : by_address_.at({symbol.library, symbol.address}))
        if (other->name != symbol.name && other->type == symbol.type)
            if (const Symbol* implementation = find_by_name(*other)) return implementation;
    return nullptr;
}

}  // namespace coracle::patcher
