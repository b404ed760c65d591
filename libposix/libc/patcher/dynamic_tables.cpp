#include "libposix/libc/patcher/dynamic_tables.h"

#include <algorithm>
#include <bit>

namespace coracle::patcher {
namespace {

constexpr uint16_t kHiddenVersion = 0x8000;
constexpr uint16_t kFirstVersion = 2;  // 1 is the base definition, the soname.

template <typename T>
void append(std::vector<uint8_t>& bytes, const T& value) {
    const auto* data = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), data, data + sizeof(T));
}

class StringTable {
  public:
    uint32_t add(const std::string& text) {
        const auto [entry, is_new] = offsets_.emplace(text, static_cast<uint32_t>(bytes_.size()));
        if (is_new) bytes_.insert(bytes_.end(), text.c_str(), text.c_str() + text.size() + 1);
        return entry->second;
    }
    const std::vector<uint8_t>& bytes() const { return bytes_; }

  private:
    std::vector<uint8_t> bytes_{0};
    std::unordered_map<std::string, uint32_t> offsets_;
};

uint32_t gnu_hash(const std::string& name) {
    uint32_t hash = 5381;
    for (const unsigned char c : name) hash = hash * 33 + c;
    return hash;
}

uint32_t sysv_hash(const std::string& name) {
    uint32_t hash = 0;
    for (const unsigned char c : name) {
        hash = (hash << 4) + c;
        hash ^= (hash & 0xf0000000) >> 24;
        hash &= 0x0fffffff;
    }
    return hash;
}

struct Entry {
    const Export* exported;
    uint32_t hash;
};

// One symbol in eight words of the filter, and about two in a bucket: what binutils aims at.
std::vector<uint8_t> make_hash_table(const std::vector<Entry>& entries, uint32_t bucket_count) {
    constexpr uint32_t kFirstSymbol = 1, kShift = 26 - 5;
    const uint32_t filter_words = std::bit_ceil(static_cast<uint32_t>(entries.size()) / 8);
    std::vector<uint64_t> filter(filter_words);
    std::vector<uint32_t> buckets(bucket_count), chain(entries.size());
    for (uint32_t i = 0; i < entries.size(); ++i) {
        const uint32_t hash = entries[i].hash;
        filter[hash / 64 % filter_words] |= 1ULL << hash % 64 | 1ULL << (hash >> kShift) % 64;
        uint32_t& bucket = buckets[hash % bucket_count];
        if (bucket == 0) bucket = kFirstSymbol + i;
        const bool is_last =
            i + 1 == entries.size() || entries[i + 1].hash % bucket_count != hash % bucket_count;
        chain[i] = (hash & ~1U) | (is_last ? 1 : 0);
    }
    std::vector<uint8_t> table;
    for (const uint32_t word : {bucket_count, kFirstSymbol, filter_words, kShift})
        append(table, word);
    for (const uint64_t word : filter) append(table, word);
    for (const uint32_t word : buckets) append(table, word);
    for (const uint32_t word : chain) append(table, word);
    return table;
}

std::vector<uint8_t> make_version_definitions(const std::vector<std::string>& names,
                                              const char* soname, StringTable& strings) {
    std::vector<uint8_t> table;
    for (size_t i = 0; i <= names.size(); ++i) {
        const std::string name = i == 0 ? soname : names[i - 1];
        Elf64_Verdef definition{};
        definition.vd_version = VER_DEF_CURRENT;
        definition.vd_flags = i == 0 ? VER_FLG_BASE : 0;
        definition.vd_ndx = static_cast<uint16_t>(i + 1);
        definition.vd_cnt = 1;
        definition.vd_hash = sysv_hash(name);
        definition.vd_aux = sizeof(Elf64_Verdef);
        definition.vd_next = i == names.size() ? 0 : sizeof(Elf64_Verdef) + sizeof(Elf64_Verdaux);
        append(table, definition);
        append(table, Elf64_Verdaux{strings.add(name), 0});
    }
    return table;
}

Elf64_Sym make_symbol(const Export& exported, StringTable& strings) {
    const Symbol& implementation = *exported.implementation;
    // Assembler symbols may lack a type, which copy relocations and dladdr need.
    const uint8_t type =
        implementation.type == STT_NOTYPE ? exported.symbol->type : implementation.type;
    Elf64_Sym symbol{};
    symbol.st_name = strings.add(exported.symbol->name);
    symbol.st_info = ELF64_ST_INFO(STB_GLOBAL, type);
    symbol.st_shndx = implementation.section;
    symbol.st_value = implementation.value;
    // A variable's size is part of the interface: a program's copy has that of its version.
    const bool is_sized = implementation.size != 0 && type != STT_OBJECT;
    symbol.st_size = is_sized ? implementation.size : exported.symbol->size;
    return symbol;
}

}  // namespace

DynamicTables make_dynamic_tables(const std::vector<Export>& exports, const char* soname) {
    const auto bucket_count = static_cast<uint32_t>(exports.size() / 2 | 1);
    std::vector<Entry> entries;
    std::vector<std::string> version_names;
    std::map<std::string, uint16_t> version_index;
    for (const Export& exported : exports) {
        entries.push_back({&exported, gnu_hash(exported.symbol->name)});
        version_index.emplace(exported.symbol->version, 0);
    }
    // No symbol has it: objects with DT_RELR require it, to fail with loaders that do not know
    // that.
    version_index.emplace("GLIBC_ABI_DT_RELR", 0);
    for (auto& [name, index] : version_index) {
        index = static_cast<uint16_t>(kFirstVersion + version_names.size());
        version_names.push_back(name);
    }
    // In a bucket the default version comes first: it is the one most programs ask for.
    std::stable_sort(entries.begin(), entries.end(), [&](const Entry& a, const Entry& b) {
        const uint32_t bucket_a = a.hash % bucket_count, bucket_b = b.hash % bucket_count;
        if (bucket_a != bucket_b) return bucket_a < bucket_b;
        return a.exported->symbol->is_default && !b.exported->symbol->is_default;
    });

    DynamicTables tables;
    StringTable strings;
    append(tables.symbols, Elf64_Sym{});
    append(tables.versions, uint16_t{VER_NDX_LOCAL});
    for (const Entry& entry : entries) {
        const LibrarySymbol& symbol = *entry.exported->symbol;
        append(tables.symbols, make_symbol(*entry.exported, strings));
        const uint16_t hidden = symbol.is_default ? 0 : kHiddenVersion;
        append(tables.versions, static_cast<uint16_t>(version_index.at(symbol.version) | hidden));
    }
    tables.hash = make_hash_table(entries, bucket_count);
    tables.version_definitions = make_version_definitions(version_names, soname, strings);
    tables.version_definition_count = static_cast<uint32_t>(version_names.size() + 1);
    tables.soname = strings.add(soname);
    tables.strings = strings.bytes();
    return tables;
}

}  // namespace coracle::patcher
