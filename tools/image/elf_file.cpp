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
        read_segments();
        read_sections();
    }

  private:
    void read_segments() {
        size_t count = 0;
        elf_getphdrnum(elf_, &count);
        GElf_Phdr dynamic{};
        for (size_t i = 0; i < count; ++i) {
            GElf_Phdr segment;
            if (!gelf_getphdr(elf_, static_cast<int>(i), &segment)) continue;
            if (segment.p_type == PT_LOAD) loads_.push_back(segment);
            if (segment.p_type == PT_DYNAMIC) dynamic = segment;
            if (segment.p_type == PT_INTERP) file_.interpreter = text_at(segment.p_offset);
        }
        if (dynamic.p_filesz > 0) read_dynamic(dynamic);
    }

    void read_dynamic(const GElf_Phdr& segment) {
        Elf_Data* data = elf_getdata_rawchunk(elf_, static_cast<int64_t>(segment.p_offset),
                                              segment.p_filesz, ELF_T_DYN);
        if (!data) return;
        std::vector<GElf_Dyn> entries;
        uint64_t strings = 0;
        for (int i = 0;; ++i) {
            GElf_Dyn entry;
            if (!gelf_getdyn(data, i, &entry) || entry.d_tag == DT_NULL) break;
            if (entry.d_tag == DT_STRTAB) strings = file_offset(entry.d_un.d_ptr);
            entries.push_back(entry);
        }
        if (strings == 0) return;
        for (const GElf_Dyn& entry : entries) {
            uint64_t offset = strings + entry.d_un.d_val;
            switch (entry.d_tag) {
                case DT_NEEDED:
                    file_.needed.push_back(text_at(offset));
                    break;
                case DT_SONAME:
                    file_.soname = text_at(offset);
                    break;
                case DT_RPATH:
                    file_.rpath = split_path_list(text_at(offset));
                    break;
                case DT_RUNPATH:
                    file_.runpath = split_path_list(text_at(offset));
                    break;
            }
        }
    }

    void read_sections() {
        GElf_Shdr symbols{};
        Elf_Data *symbol_data = nullptr, *index_data = nullptr;
        for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf_, section));) {
            GElf_Shdr header;
            if (!gelf_getshdr(section, &header)) continue;
            switch (header.sh_type) {
                case SHT_DYNSYM:
                    symbols = header;
                    symbol_data = elf_getdata(section, nullptr);
                    break;
                case SHT_GNU_versym:
                    index_data = elf_getdata(section, nullptr);
                    break;
                case SHT_GNU_verneed:
                    read_needs(section, header);
                    break;
                case SHT_GNU_verdef:
                    read_definitions(section, header);
                    break;
            }
        }
        if (symbol_data) read_symbols(symbols, symbol_data, index_data);
    }

    void read_needs(Elf_Scn* section, const GElf_Shdr& header) {
        Elf_Data* data = elf_getdata(section, nullptr);
        int offset = 0;
        for (GElf_Verneed need; data && gelf_getverneed(data, offset, &need);) {
            std::string library = string(header.sh_link, need.vn_file);
            int at = offset + static_cast<int>(need.vn_aux);
            for (GElf_Vernaux version; gelf_getvernaux(data, at, &version);) {
                std::string name = string(header.sh_link, version.vna_name);
                file_.needed_versions.push_back(name);
                versions_[version.vna_other & 0x7fff] = {name, library};
                if (version.vna_next == 0) break;
                at += static_cast<int>(version.vna_next);
            }
            if (need.vn_next == 0) break;
            offset += static_cast<int>(need.vn_next);
        }
    }

    void read_definitions(Elf_Scn* section, const GElf_Shdr& header) {
        Elf_Data* data = elf_getdata(section, nullptr);
        int offset = 0;
        for (GElf_Verdef definition; data && gelf_getverdef(data, offset, &definition);) {
            GElf_Verdaux name;
            if (!(definition.vd_flags & VER_FLG_BASE) &&
                gelf_getverdaux(data, offset + static_cast<int>(definition.vd_aux), &name)) {
                versions_[definition.vd_ndx & 0x7fff] = {string(header.sh_link, name.vda_name), ""};
            }
            if (definition.vd_next == 0) break;
            offset += static_cast<int>(definition.vd_next);
        }
    }

    void read_symbols(const GElf_Shdr& header, Elf_Data* data, Elf_Data* indexes) {
        size_t count = header.sh_entsize ? header.sh_size / header.sh_entsize : 0;
        for (size_t i = 1; i < count; ++i) {
            GElf_Sym entry;
            if (!gelf_getsym(data, static_cast<int>(i), &entry)) break;
            ElfSymbol symbol;
            symbol.name = string(header.sh_link, entry.st_name);
            symbol.defined = entry.st_shndx != SHN_UNDEF;
            symbol.weak = GELF_ST_BIND(entry.st_info) == STB_WEAK;
            if (symbol.name.empty() || GELF_ST_BIND(entry.st_info) == STB_LOCAL) continue;
            GElf_Versym index;
            if (indexes && gelf_getversym(indexes, static_cast<int>(i), &index)) {
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

    std::string string(size_t section, size_t offset) {
        const char* text = elf_strptr(elf_, section, offset);
        return text ? text : "";
    }

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
