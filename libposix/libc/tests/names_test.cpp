// Looks every symbol of the installed glibc up in the image, as a dynamic linker does.
//
//   names_test IMAGE ABSENT LIBRARY...
//
// A symbol that is not found must stand in ABSENT, and what stands there must not be found. A
// symbol with a default version, which programs are linked with today, may not stand there.
#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

#include "libposix/libc/patcher/exports.h"

namespace coracle::patcher {
namespace {

constexpr uint16_t kHiddenVersion = 0x8000;

class DynamicSymbols {
  public:
    explicit DynamicSymbols(const ElfImage& image) : image_(image) {
        for (const Elf64_Phdr& segment : image.segments())
            if (segment.p_type == PT_DYNAMIC) read_dynamic(segment.p_vaddr, segment.p_filesz);
    }

    // The symbol with exactly this version, or with the default one if it is empty.
    bool find(const std::string& name, const std::string& version, Elf64_Sym& found) const {
        uint32_t hash = 5381;
        for (const unsigned char c : name) hash = hash * 33 + c;
        const auto bucket_count = image_.read<uint32_t>(hash_);
        const auto first = image_.read<uint32_t>(hash_ + 4);
        const auto filter_words = image_.read<uint32_t>(hash_ + 8);
        const auto shift = image_.read<uint32_t>(hash_ + 12);
        const auto word = image_.read<uint64_t>(hash_ + 16 + 8 * (hash / 64 % filter_words));
        if ((word >> hash % 64 & word >> (hash >> shift) % 64 & 1) == 0) return false;
        const uint64_t buckets = hash_ + 16 + 8 * filter_words;
        auto index = image_.read<uint32_t>(buckets + 4 * (hash % bucket_count));
        if (index == 0) return false;
        for (;; ++index) {
            const auto entry = image_.read<uint32_t>(buckets + 4 * (bucket_count + index - first));
            if ((entry | 1) == (hash | 1) && matches(index, name, version, found)) return true;
            if (entry & 1) return false;
        }
    }

  private:
    void read_dynamic(uint64_t address, uint64_t size) {
        uint64_t definitions = 0;
        for (uint64_t i = 0; i < size / sizeof(Elf64_Dyn); ++i) {
            const auto entry = image_.read<Elf64_Dyn>(address + i * sizeof(Elf64_Dyn));
            if (entry.d_tag == DT_SYMTAB) symbols_ = entry.d_un.d_ptr;
            if (entry.d_tag == DT_STRTAB) strings_ = entry.d_un.d_ptr;
            if (entry.d_tag == DT_GNU_HASH) hash_ = entry.d_un.d_ptr;
            if (entry.d_tag == DT_VERSYM) versions_ = entry.d_un.d_ptr;
            if (entry.d_tag == DT_VERDEF) definitions = entry.d_un.d_ptr;
        }
        for (;;) {
            const auto definition = image_.read<Elf64_Verdef>(definitions);
            const auto name = image_.read<Elf64_Verdaux>(definitions + definition.vd_aux);
            version_names_[definition.vd_ndx] = string(name.vda_name);
            if (definition.vd_next == 0) break;
            definitions += definition.vd_next;
        }
    }

    bool matches(uint32_t index, const std::string& name, const std::string& version,
                 Elf64_Sym& found) const {
        const auto symbol = image_.read<Elf64_Sym>(symbols_ + index * sizeof(Elf64_Sym));
        const auto entry = image_.read<uint16_t>(versions_ + 2 * index);
        if (string(symbol.st_name) != name) return false;
        if (version.empty() ? (entry & kHiddenVersion) != 0
                            : version_names_.at(entry & ~kHiddenVersion) != version)
            return false;
        found = symbol;
        return true;
    }

    std::string string(uint32_t offset) const {
        return reinterpret_cast<const char*>(image_.at(strings_ + offset, 1));
    }

    const ElfImage& image_;
    uint64_t symbols_ = 0, strings_ = 0, hash_ = 0, versions_ = 0;
    std::unordered_map<uint16_t, std::string> version_names_;
};

std::set<NameAndVersion> read_absent(const std::string& path) {
    std::ifstream file(path);
    std::set<NameAndVersion> absent;
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line.substr(0, line.find('#')));
        std::string name, version;
        if (words >> name >> version) absent.emplace(name, version);
    }
    if (!file.eof()) throw Error(path + ": cannot be read");
    return absent;
}

bool is_writable_data(const ElfImage& image, uint64_t address) {
    for (const Elf64_Phdr& segment : image.segments())
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address < segment.p_vaddr + segment.p_memsz)
            return (segment.p_flags & PF_X) == 0;
    return false;
}

class NamesTest {
  public:
    NamesTest(const char* image, const char* absent)
        : image_(image), symbols_(image_), absent_(read_absent(absent)) {}

    void check(const LibrarySymbol& symbol) {
        ++checked_;
        Elf64_Sym found;
        const NameAndVersion key(symbol.name, symbol.version);
        const bool is_found = symbols_.find(symbol.name, symbol.version, found);
        const bool is_listed = absent_.contains(key);
        known_.insert(key);
        if (is_found && is_listed) fail(symbol, "is listed as absent, but resolves");
        if (!is_found && !is_listed) fail(symbol, "does not resolve");
        if (is_listed && symbol.is_default && symbol.version != "GLIBC_PRIVATE")
            fail(symbol, "is listed as absent, but new programs may need it");
        if (is_found) check_kind(symbol, found);
    }

    int finish() {
        for (const NameAndVersion& key : absent_)
            if (!known_.contains(key)) {
                std::cerr << key.first << '@' << key.second << " is listed, but in no library\n";
                ++failures_;
            }
        if (checked_ < 4000) {
            std::cerr << "only " << checked_ << " symbols were checked\n";
            ++failures_;
        }
        std::cout << checked_ << " symbols checked, " << absent_.size() << " known to be absent, "
                  << failures_ << " failures\n";
        return failures_ == 0 ? 0 : 1;
    }

  private:
    void check_kind(const LibrarySymbol& symbol, const Elf64_Sym& found) {
        const int type = ELF64_ST_TYPE(found.st_info);
        const bool wants_code = symbol.type == STT_FUNC || symbol.type == STT_GNU_IFUNC;
        const bool has_code = type == STT_FUNC || type == STT_GNU_IFUNC;
        if (wants_code != has_code || (symbol.type == STT_TLS) != (type == STT_TLS))
            fail(symbol, "is of another kind");
        if (symbol.type == STT_OBJECT && found.st_size != symbol.size)
            fail(symbol, "is of another size");
        if (has_code == is_writable_data(image_, found.st_value) && type != STT_TLS)
            fail(symbol, "is in the wrong segment");
        Elf64_Sym current;
        if (symbol.is_default && symbol.version != "GLIBC_PRIVATE" &&
            !symbols_.find(symbol.name, "", current))
            fail(symbol, "is not found without a version");
    }

    void fail(const LibrarySymbol& symbol, const char* what) {
        std::cerr << symbol.name << '@' << symbol.version << " of " << symbol.library << ' ' << what
                  << '\n';
        ++failures_;
    }

    ElfImage image_;
    DynamicSymbols symbols_;
    std::set<NameAndVersion> absent_, known_;
    size_t checked_ = 0, failures_ = 0;
};

}  // namespace
}  // namespace coracle::patcher

int main(int argc, char** argv) {
    if (argc < 4) {
        std::cerr << "usage: names_test IMAGE ABSENT LIBRARY...\n";
        return 2;
    }
    try {
        coracle::patcher::NamesTest test(argv[1], argv[2]);
        for (int i = 3; i < argc; ++i)
            for (const auto& symbol : coracle::patcher::read_library_symbols(argv[i]))
                test.check(symbol);
        return test.finish();
    } catch (const std::exception& error) {
        std::cerr << "names_test: " << error.what() << '\n';
        return 1;
    }
}
