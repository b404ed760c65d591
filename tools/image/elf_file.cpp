#include "tools/image/elf_file.h"

#include <fcntl.h>
#include <gelf.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>

#include "tools/support/unique_fd.h"

namespace coracle {
namespace {

std::vector<std::string> split_path_list(const std::string& list) {
    std::vector<std::string> parts;
    size_t start = 0;
    while (start <= list.size()) {
        size_t end = std::min(list.find(':', start), list.size());
        if (end > start) parts.push_back(list.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

// Reads the parts of one open file.
class Reader {
  public:
    Reader(Elf* elf, ElfFile& file) : elf_(elf), file_(file) {}

    void read() {
        GElf_Ehdr header;
        if (!gelf_getehdr(elf_, &header)) return;
        file_.machine = header.e_machine;
        file_.type = header.e_type;
        file_.file_class = header.e_ident[EI_CLASS];
        // The structures of other classes have other layouts, and no use here.
        if (file_.file_class == ELFCLASS64) read_segments();
    }

  private:
    void read_segments() {
        size_t count = 0;
        elf_getphdrnum(elf_, &count);
        GElf_Phdr dynamic{};
        for (size_t i = 0; i < count; ++i) {
            GElf_Phdr segment;
            if (!gelf_getphdr(elf_, static_cast<int>(i), &segment)) continue;
            if (segment.p_type == PT_LOAD) {
                loads_.push_back(segment);
                file_.load_end = std::max(file_.load_end, segment.p_paddr + segment.p_memsz);
            }
            if (segment.p_type == PT_DYNAMIC) dynamic = segment;
            if (segment.p_type == PT_INTERP) file_.interpreter = text_at(segment.p_offset);
        }
        if (dynamic.p_filesz > 0) read_dynamic(dynamic);
    }

    void read_dynamic(const GElf_Phdr& segment) {
        Elf_Data* data = chunk(segment.p_offset, segment.p_filesz, ELF_T_DYN);
        std::vector<GElf_Dyn> entries;
        GElf_Dyn entry;
        for (int i = 0; data && gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; ++i) {
            entries.push_back(entry);
            tables_[entry.d_tag] = file_offset(entry.d_un.d_ptr);
        }
        if (table(DT_STRTAB) == 0) return;
        for (const GElf_Dyn& known : entries) {
            switch (known.d_tag) {
                case DT_NEEDED:
                    file_.needed.push_back(string(known.d_un.d_val));
                    break;
                case DT_SONAME:
                    file_.soname = string(known.d_un.d_val);
                    break;
                case DT_RPATH:
                    file_.rpath = split_path_list(string(known.d_un.d_val));
                    break;
                case DT_RUNPATH:
                    file_.runpath = split_path_list(string(known.d_un.d_val));
                    break;
            }
        }
        read_needs();
        read_definitions();
        read_symbols();
    }

    void read_needs() {
        Elf_Data* data = rest(table(DT_VERNEED), ELF_T_BYTE);
        size_t offset = 0;
        Elf64_Verneed need;
        while (copy(data, offset, need)) {
            std::string library = string(need.vn_file);
            size_t at = offset + need.vn_aux;
            for (Elf64_Vernaux version; copy(data, at, version);) {
                std::string name = string(version.vna_name);
                file_.needed_versions.push_back(name);
                versions_[version.vna_other & 0x7fff] = {name, library};
                if (version.vna_next == 0) break;
                at += version.vna_next;
            }
            if (need.vn_next == 0) break;
            offset += need.vn_next;
        }
    }

    void read_definitions() {
        Elf_Data* data = rest(table(DT_VERDEF), ELF_T_BYTE);
        size_t offset = 0;
        Elf64_Verdef definition;
        while (copy(data, offset, definition)) {
            Elf64_Verdaux name;
            if (!(definition.vd_flags & VER_FLG_BASE) &&
                copy(data, offset + definition.vd_aux, name)) {
                versions_[definition.vd_ndx & 0x7fff] = {string(name.vda_name), ""};
            }
            if (definition.vd_next == 0) break;
            offset += definition.vd_next;
        }
    }

    void read_symbols() {
        size_t count = symbol_count();
        Elf_Data* data = chunk(table(DT_SYMTAB), count * sizeof(Elf64_Sym), ELF_T_SYM);
        Elf_Data* indexes = rest(table(DT_VERSYM), ELF_T_BYTE);
        for (size_t i = 1; data && i < count; ++i) {
            GElf_Sym entry;
            if (!gelf_getsym(data, static_cast<int>(i), &entry)) break;
            ElfSymbol symbol;
            symbol.name = string(entry.st_name);
            symbol.defined = entry.st_shndx != SHN_UNDEF;
            symbol.weak = GELF_ST_BIND(entry.st_info) == STB_WEAK;
            if (symbol.name.empty() || GELF_ST_BIND(entry.st_info) == STB_LOCAL) continue;
            uint16_t index = 0;
            if (copy(indexes, i * sizeof(index), index)) {
                symbol.default_version = !(index & 0x8000);
                auto version = versions_.find(index & 0x7fff);
                if (version != versions_.end()) {
                    symbol.version = version->second.name;
                    symbol.library = version->second.library;
                }
            }
            file_.symbols.push_back(std::move(symbol));
        }
    }

    // Only section headers and hash tables tell how many dynamic symbols there are.
    size_t symbol_count() {
        for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf_, section));) {
            GElf_Shdr header;
            if (gelf_getshdr(section, &header) && header.sh_type == SHT_DYNSYM &&
                header.sh_entsize != 0) {
                return header.sh_size / header.sh_entsize;
            }
        }
        return table(DT_GNU_HASH) ? count_of_gnu_hash() : 0;
    }

    // The last symbol of the last chain; the ones before the first chain are the undefined.
    size_t count_of_gnu_hash() {
        Elf_Data* data = rest(table(DT_GNU_HASH), ELF_T_BYTE);
        struct {
            uint32_t buckets, first, bloom_words, bloom_shift;
        } header;
        if (!copy(data, 0, header)) return 0;
        size_t buckets_at = sizeof(header) + size_t{header.bloom_words} * 8;
        size_t chains_at = buckets_at + size_t{header.buckets} * 4;
        uint32_t last = 0, start = 0;
        for (uint32_t i = 0; i < header.buckets && copy(data, buckets_at + i * 4UL, start); ++i) {
            last = std::max(last, start);
        }
        if (last < header.first) return header.first;
        for (uint32_t hash = 0; copy(data, chains_at + (last - header.first) * 4UL, hash); ++last) {
            if (hash & 1) break;
        }
        return last + 1UL;
    }

    uint64_t table(int64_t tag) const {
        auto found = tables_.find(tag);
        return found == tables_.end() ? 0 : found->second;
    }

    Elf_Data* chunk(uint64_t offset, uint64_t size, Elf_Type type) {
        if (offset == 0 || size == 0) return nullptr;
        return elf_getdata_rawchunk(elf_, static_cast<int64_t>(offset), size, type);
    }

    // From a table whose size nothing tells to the end of the file.
    Elf_Data* rest(uint64_t offset, Elf_Type type) {
        size_t size = 0;
        if (!elf_rawfile(elf_, &size) || offset == 0 || offset >= size) return nullptr;
        return chunk(offset, size - offset, type);
    }

    template <typename T>
    static bool copy(const Elf_Data* data, size_t offset, T& value) {
        if (!data || data->d_size < sizeof(T) || offset > data->d_size - sizeof(T)) return false;
        memcpy(&value, static_cast<const char*>(data->d_buf) + offset, sizeof(T));
        return true;
    }

    std::string string(uint64_t offset) { return text_at(table(DT_STRTAB) + offset); }

    // The NUL-terminated string at a file offset.
    std::string text_at(uint64_t offset) {
        size_t size = 0;
        const char* bytes = elf_rawfile(elf_, &size);
        if (!bytes || offset >= size) return "";
        return std::string(bytes + offset, strnlen(bytes + offset, size - offset));
    }

    uint64_t file_offset(uint64_t address) {
        for (const GElf_Phdr& load : loads_) {
            if (address >= load.p_vaddr && address - load.p_vaddr < load.p_filesz) {
                return address - load.p_vaddr + load.p_offset;
            }
        }
        return 0;
    }

    struct Version {
        std::string name, library;
    };

    Elf* elf_;
    ElfFile& file_;
    std::vector<GElf_Phdr> loads_;
    std::map<int64_t, uint64_t> tables_;  // DT_* -> file offset, where the value is an address.
    std::map<int, Version> versions_;
};

}  // namespace

bool ElfFile::is_x86_64() const {
    return machine == EM_X86_64 && file_class == ELFCLASS64;
}

bool ElfFile::imports(const char* name) const {
    return std::any_of(symbols.begin(), symbols.end(), [name](const ElfSymbol& symbol) {
        return !symbol.defined && symbol.name == name;
    });
}

std::optional<ElfFile> ElfFile::read(const std::string& host_path) {
    static const bool ready = elf_version(EV_CURRENT) != EV_NONE;
    if (!ready) return std::nullopt;
    UniqueFd fd(open(host_path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return std::nullopt;
    std::unique_ptr<Elf, int (*)(Elf*)> elf(elf_begin(fd.get(), ELF_C_READ_MMAP, nullptr), elf_end);
    if (!elf || elf_kind(elf.get()) != ELF_K_ELF) return std::nullopt;
    ElfFile file;
    Reader(elf.get(), file).read();
    return file;
}

}  // namespace coracle
