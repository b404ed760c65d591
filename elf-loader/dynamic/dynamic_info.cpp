#include "elf-loader/dynamic/dynamic_info.h"

#include "elf-loader/dynamic/glibc_loader.h"

namespace coracle::loader {
namespace {

// The index of a dynamic tag in l_info, -1 for tags that have none.
int info_index(int64_t tag) {
    if (tag >= 0 && tag < DT_NUM) return static_cast<int>(tag);
    if (tag > 0x6fffffff - DT_VERSIONTAGNUM && tag <= 0x6fffffff) return version_tag_index(tag);
    if (tag > 0x7fffffff - DT_EXTRANUM && tag <= 0x7fffffff) return extra_tag_index(tag);
    if (tag > DT_VALRNGHI - DT_VALNUM && tag <= DT_VALRNGHI) return value_tag_index(tag);
    if (tag > DT_ADDRRNGHI - DT_ADDRNUM && tag <= DT_ADDRRNGHI) return address_tag_index(tag);
    return -1;
}

constexpr int kFlags1 = version_tag_index(DT_FLAGS_1);

void relocate_dynamic_addresses(LinkMap& map) {
    constexpr int kAddresses[] = {DT_HASH,
                                  DT_PLTGOT,
                                  DT_STRTAB,
                                  DT_SYMTAB,
                                  DT_RELR,
                                  DT_JMPREL,
                                  DT_RELA,
                                  version_tag_index(DT_VERSYM),
                                  address_tag_index(DT_GNU_HASH)};
    for (const int index : kAddresses) {
        Elf64_Dyn* entry = map.l_info[index];
        if (entry != nullptr && entry->d_un.d_ptr != 0) entry->d_un.d_ptr += map.l_addr;
    }
}

void read_flags(LinkMap& map) {
    Elf64_Dyn** info = map.l_info;
    if (info[DT_FLAGS] != nullptr) {
        map.l_flags = static_cast<uint32_t>(info[DT_FLAGS]->d_un.d_val);
        if (map.l_flags & DF_SYMBOLIC) info[DT_SYMBOLIC] = info[DT_FLAGS];
        if (map.l_flags & DF_TEXTREL) info[DT_TEXTREL] = info[DT_FLAGS];
        if (map.l_flags & DF_BIND_NOW) info[DT_BIND_NOW] = info[DT_FLAGS];
    }
    if (info[kFlags1] != nullptr) {
        map.l_flags_1 = static_cast<uint32_t>(info[kFlags1]->d_un.d_val);
        if (map.l_flags_1 & DF_1_NODELETE) map.l_nodelete_pending = true;
        if (map.l_flags_1 & DF_1_NOW) info[DT_BIND_NOW] = info[kFlags1];
    }
    if (info[DT_RUNPATH] != nullptr) info[DT_RPATH] = nullptr;
}

}  // namespace

void read_dynamic_section(LinkMap& map) {
    if (map.l_ld == nullptr) return;
    for (Elf64_Dyn* entry = map.l_ld; entry->d_tag != DT_NULL; ++entry) {
        const int index = info_index(entry->d_tag);
        if (index >= 0) map.l_info[index] = entry;
        ++map.l_ldnum;
    }
    if (map.l_addr != 0 && !map.l_ld_readonly) relocate_dynamic_addresses(map);
    read_flags(map);
}

uint32_t read_program_headers(LinkMap& map) {
    uint32_t stack_flags = PF_R | PF_W | PF_X;
    map.l_map_start = ~Elf64_Addr{0};
    map.l_map_end = 0;
    map.l_text_end = 0;
    map.l_contiguous = 1;
    Elf64_Addr expected = 0;
    const Elf64_Addr page_mask = ~(_dl_pagesize - 1);
    for (int i = 0; i < map.l_phnum; ++i) {
        const Elf64_Phdr& segment = map.l_phdr[i];
        if (segment.p_type == PT_LOAD) {
            const Elf64_Addr start = (map.l_addr + segment.p_vaddr) & page_mask;
            const Elf64_Addr end = map.l_addr + segment.p_vaddr + segment.p_memsz;
            if (start < map.l_map_start) map.l_map_start = start;
            if (end > map.l_map_end) map.l_map_end = end;
            if ((segment.p_flags & PF_X) && end > map.l_text_end) map.l_text_end = end;
            if (expected != 0 && expected != start) map.l_contiguous = 0;
            expected = (end + ~page_mask) & page_mask;
        } else if (segment.p_type == PT_DYNAMIC) {
            map.l_ld = reinterpret_cast<Elf64_Dyn*>(map.l_addr + segment.p_vaddr);
            map.l_ld_readonly = (segment.p_flags & PF_W) == 0;
        } else if (segment.p_type == PT_TLS && segment.p_memsz > 0) {
            map.l_tls_blocksize = segment.p_memsz;
            map.l_tls_align = segment.p_align > 0 ? segment.p_align : 1;
            map.l_tls_firstbyte_offset = segment.p_vaddr & (map.l_tls_align - 1);
            map.l_tls_initimage_size = segment.p_filesz;
            map.l_tls_initimage = reinterpret_cast<void*>(map.l_addr + segment.p_vaddr);
        } else if (segment.p_type == PT_GNU_STACK) {
            stack_flags = segment.p_flags;
        } else if (segment.p_type == PT_GNU_RELRO) {
            map.l_relro_addr = segment.p_vaddr;
            map.l_relro_size = segment.p_memsz;
        } else if (segment.p_type == PT_GNU_PROPERTY) {
            _dl_process_pt_gnu_property(&map, -1, &segment);
        }
    }
    return stack_flags;
}

}  // namespace coracle::loader
