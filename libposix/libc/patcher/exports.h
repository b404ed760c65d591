// What the image must export: the names and versions of the installed libraries, and which symbol
// of the linked image implements each.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "libposix/libc/patcher/elf_image.h"

namespace coracle::patcher {

// One symbol with one version, as an installed library defines it.
struct LibrarySymbol {
    std::string name;
    std::string version;
    bool is_default;  // name@@version: what new programs are linked with
    uint8_t type;     // STT_*
    uint64_t size;
    std::string library;
    uint64_t address;  // In that library, to recognise aliases.
};

// The defined symbols of an installed library; those that name a version are left out.
std::vector<LibrarySymbol> read_library_symbols(const std::string& path);

using NameAndVersion = std::pair<std::string, std::string>;

// Reads lines `name version symbol`; # starts a comment.
std::map<NameAndVersion, std::string> read_aliases(const std::string& path);

struct Export {
    const LibrarySymbol* symbol;
    const Symbol* implementation;
};

class Exports {
  public:
    // Chooses an implementation for each symbol: in this order
    //   1. the one that the list of aliases names;
    //   2. compat_VERSION_NAME (dots of the version as '_'), which only this project defines;
    //   3. NAME, for the default version and for older ones at the same address;
    //   4. another name of the same library at the same address, by the same rules.
    Exports(std::vector<LibrarySymbol> wanted, const std::vector<Symbol>& image_symbols,
            std::map<NameAndVersion, std::string> aliases);

    const std::vector<Export>& found() const { return found_; }
    const std::vector<const LibrarySymbol*>& absent() const { return absent_; }

  private:
    using Group = std::vector<const LibrarySymbol*>;
    const Symbol* find(const std::string& name) const;
    const Symbol* find_by_name(const LibrarySymbol& symbol) const;
    const Symbol* find_alias(const LibrarySymbol& symbol) const;

    std::vector<LibrarySymbol> wanted_;
    std::map<NameAndVersion, std::string> aliases_;
    std::unordered_map<std::string, const Symbol*> image_;
    std::map<std::pair<std::string, std::string>, Group> by_name_;  // (library, name)
    std::map<std::pair<std::string, uint64_t>, Group> by_address_;  // (library, address)
    std::vector<Export> found_;
    std::vector<const LibrarySymbol*> absent_;
};

}  // namespace coracle::patcher
