#include "tools/image/library_cache.h"

#include <cstring>

namespace coracle {
namespace {

// struct cache_file_new and struct file_entry_new of glibc's dl-cache.h.
struct CacheHeader {
    char magic[20];
    uint32_t count;
    uint32_t strings_size;
    uint8_t flags;
    uint8_t padding[3];
    uint32_t extension_offset;
    uint32_t unused[3];
};
static_assert(sizeof(CacheHeader) == 48);

struct CacheEntry {
    int32_t flags;
    uint32_t name;  // Offsets of NUL-terminated strings from the start of the file.
    uint32_t path;
    uint32_t os_version;
    uint64_t hwcap;
};
static_assert(sizeof(CacheEntry) == 24);

constexpr std::string_view kMagic = "glibc-ld.so.cache1.1";
constexpr int32_t kFlagsX86_64 = 0x0303;  // FLAG_ELF_LIBC6 | FLAG_X8664_LIB64
constexpr uint8_t kFlagsLittleEndian = 2;

}  // namespace

std::vector<CachedLibrary> read_library_cache(const Tree& tree) {
    std::vector<CachedLibrary> libraries;
    std::string bytes = tree.read_file("/etc/ld.so.cache").value_or("");
    CacheHeader header;
    if (!bytes.starts_with(kMagic) || bytes.size() < sizeof(header)) return libraries;
    std::memcpy(&header, bytes.data(), sizeof(header));
    if (header.count > (bytes.size() - sizeof(header)) / sizeof(CacheEntry)) return libraries;
    auto text = [&bytes](uint32_t offset) {
        return offset < bytes.size() ? std::string(bytes.c_str() + offset) : std::string();
    };
    for (uint32_t i = 0; i < header.count; ++i) {
        CacheEntry entry;
        std::memcpy(&entry, bytes.data() + sizeof(header) + i * sizeof(entry), sizeof(entry));
        // Variants for newer CPUs (glibc-hwcaps) are left out: the guest's CPU may be another.
        if (entry.flags != kFlagsX86_64 || entry.hwcap != 0) continue;
        libraries.push_back({text(entry.name), text(entry.path)});
    }
    return libraries;
}

std::string make_library_cache(const std::vector<CachedLibrary>& libraries) {
    CacheHeader header{};
    std::memcpy(header.magic, kMagic.data(), kMagic.size());
    header.count = static_cast<uint32_t>(libraries.size());
    header.flags = kFlagsLittleEndian;
    size_t strings_start = sizeof(header) + libraries.size() * sizeof(CacheEntry);
    std::string entries, strings;
    auto place = [&](const std::string& text) {
        auto offset = static_cast<uint32_t>(strings_start + strings.size());
        strings.append(text).push_back('\0');
        return offset;
    };
    for (const CachedLibrary& library : libraries) {
        CacheEntry entry{kFlagsX86_64, place(library.name), place(library.path), 0, 0};
        entries.append(reinterpret_cast<const char*>(&entry), sizeof(entry));
    }
    header.strings_size = static_cast<uint32_t>(strings.size());
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + entries + strings;
}

void add_library_cache(Manifest& manifest, const Tree& tree) {
    std::vector<CachedLibrary> held;
    for (CachedLibrary& library : read_library_cache(tree)) {
        Resolved resolved = tree.resolve(library.path, false);
        if (resolved.found && manifest.has(resolved.path)) held.push_back(std::move(library));
    }
    if (!held.empty()) manifest.add_made_file("/etc/ld.so.cache", make_library_cache(held));
}

}  // namespace coracle
