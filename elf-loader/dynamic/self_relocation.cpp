#include "elf-loader/dynamic/self_relocation.h"

#include <sys/mman.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/image.h"

extern "C" {
extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));
extern Elf64_Dyn _DYNAMIC[] __attribute__((visibility("hidden")));
extern int __stack_prot __attribute__((visibility("hidden")));
int __mprotect(void* address, size_t length, int protection);
}

namespace coracle::loader {
namespace {

// What the image's own dynamic section says, as far as relocation needs it.
struct DynamicTables {
    const Elf64_Rela* rela = nullptr;
    const Elf64_Rela* rela_end = nullptr;
    const Elf64_Rela* plt = nullptr;
    const Elf64_Rela* plt_end = nullptr;
    const uint64_t* relr = nullptr;
    const uint64_t* relr_end = nullptr;
    const Elf64_Sym* symbols = nullptr;
};

DynamicTables read_dynamic_tables() {
    const Elf64_Addr base = image_base();
    uint64_t rela = 0, rela_size = 0, plt = 0, plt_size = 0, relr = 0, relr_size = 0, symbols = 0;
    for (const Elf64_Dyn* entry = _DYNAMIC; entry->d_tag != DT_NULL; ++entry) {
        const uint64_t value = entry->d_un.d_val;
        // No switch: its jump table would be fine, but a table of pointers would not be relocated.
        if (entry->d_tag == DT_RELA) rela = value;
        if (entry->d_tag == DT_RELASZ) rela_size = value;
        if (entry->d_tag == DT_JMPREL) plt = value;
        if (entry->d_tag == DT_PLTRELSZ) plt_size = value;
        if (entry->d_tag == DT_RELR) relr = value;
        if (entry->d_tag == DT_RELRSZ) relr_size = value;
        if (entry->d_tag == DT_SYMTAB) symbols = value;
    }
    DynamicTables tables;
    tables.rela = reinterpret_cast<const Elf64_Rela*>(base + rela);
    tables.rela_end = reinterpret_cast<const Elf64_Rela*>(base + rela + rela_size);
    tables.plt = reinterpret_cast<const Elf64_Rela*>(base + plt);
    tables.plt_end = reinterpret_cast<const Elf64_Rela*>(base + plt + plt_size);
    tables.relr = reinterpret_cast<const uint64_t*>(base + relr);
    tables.relr_end = reinterpret_cast<const uint64_t*>(base + relr + relr_size);
    tables.symbols = reinterpret_cast<const Elf64_Sym*>(base + symbols);
    return tables;
}

// The image's block ends at the thread pointer as long as the program has none.
int64_t initial_tls_offset() {
    const Elf64_Ehdr* header = image_header();
    const auto* segment = reinterpret_cast<const Elf64_Phdr*>(image_base() + header->e_phoff);
    for (const auto* end = segment + header->e_phnum; segment != end; ++segment) {
        if (segment->p_type == PT_TLS) {
            const uint64_t align = segment->p_align > 1 ? segment->p_align : 1;
            return static_cast<int64_t>((segment->p_memsz + align - 1) / align * align);
        }
    }
    return 0;
}

bool calls_resolver(const Elf64_Rela& relocation, const Elf64_Sym* symbols) {
    if (ELF64_R_TYPE(relocation.r_info) == R_X86_64_IRELATIVE) return true;
    const Elf64_Sym& symbol = symbols[ELF64_R_SYM(relocation.r_info)];
    return ELF64_R_TYPE(relocation.r_info) != R_X86_64_RELATIVE &&
           ELF64_ST_TYPE(symbol.st_info) == STT_GNU_IFUNC && symbol.st_shndx != SHN_UNDEF;
}

Elf64_Addr resolve_function(Elf64_Addr resolver) {
    return reinterpret_cast<Elf64_Addr (*)()>(resolver)();
}

// The image is closed: a symbol that it does not define is a weak reference, and null.
void apply(const Elf64_Rela& relocation, const Elf64_Sym* symbols, bool resolvers,
           int64_t tls_offset) {
    const Elf64_Addr base = image_base();
    auto* place = reinterpret_cast<Elf64_Addr*>(base + relocation.r_offset);
    const uint32_t type = ELF64_R_TYPE(relocation.r_info);
    if (type == R_X86_64_RELATIVE) {
        if (!resolvers) *place = base + relocation.r_addend;
        return;
    }
    if (type == R_X86_64_NONE || calls_resolver(relocation, symbols) != resolvers) return;
    const Elf64_Sym& symbol = symbols[ELF64_R_SYM(relocation.r_info)];
    Elf64_Addr value = symbol.st_shndx == SHN_UNDEF ? 0 : base + symbol.st_value;
    if (type == R_X86_64_IRELATIVE) {
        *place = resolve_function(base + relocation.r_addend);
    } else if (type == R_X86_64_TPOFF64) {
        *place = symbol.st_value + relocation.r_addend - tls_offset;
    } else if (type == R_X86_64_64 || type == R_X86_64_GLOB_DAT || type == R_X86_64_JUMP_SLOT) {
        if (resolvers) value = resolve_function(value);
        *place = value + (type == R_X86_64_64 ? relocation.r_addend : 0);
    } else {
        __builtin_trap();  // The image's build checks its relocation types.
    }
}

void apply_relr(const uint64_t* entry, const uint64_t* end) {
    const Elf64_Addr base = image_base();
    auto* place = reinterpret_cast<uint64_t*>(base);  // until the first entry, which is an address
    for (; entry != end; ++entry) {
        if ((*entry & 1) == 0) {
            place = reinterpret_cast<uint64_t*>(base + *entry);
            *place++ += base;
        } else {
            uint64_t* word = place;
            for (uint64_t bits = *entry >> 1; bits != 0; bits >>= 1, ++word)
                if (bits & 1) *word += base;
            place += 63;
        }
    }
}

}  // namespace

Elf64_Addr image_base() {
    return reinterpret_cast<Elf64_Addr>(&__ehdr_start);
}
const Elf64_Ehdr* image_header() {
    return &__ehdr_start;
}
Elf64_Dyn* image_dynamic() {
    return _DYNAMIC;
}

void relocate_image() {
    const DynamicTables tables = read_dynamic_tables();
    const int64_t tls_offset = initial_tls_offset();
    apply_relr(tables.relr, tables.relr_end);
    for (const Elf64_Rela* entry = tables.rela; entry != tables.rela_end; ++entry)
        apply(*entry, tables.symbols, false, tls_offset);
    for (const Elf64_Rela* entry = tables.plt; entry != tables.plt_end; ++entry)
        apply(*entry, tables.symbols, false, tls_offset);
}

void relocate_image_functions() {
    const DynamicTables tables = read_dynamic_tables();
    for (const Elf64_Rela* entry = tables.rela; entry != tables.rela_end; ++entry)
        apply(*entry, tables.symbols, true, 0);
    for (const Elf64_Rela* entry = tables.plt; entry != tables.plt_end; ++entry)
        apply(*entry, tables.symbols, true, 0);
}

void protect_image() {
    const Elf64_Ehdr* header = image_header();
    const auto* segment = reinterpret_cast<const Elf64_Phdr*>(image_base() + header->e_phoff);
    const auto* end = segment + header->e_phnum;
    while (segment != end && segment->p_type != PT_GNU_RELRO) ++segment;
    if (segment == end) return;
    const Elf64_Addr page_mask = ~(_dl_pagesize - 1);
    const Elf64_Addr first = (image_base() + segment->p_vaddr + ~page_mask) & page_mask;
    const Elf64_Addr last = (image_base() + segment->p_vaddr + segment->p_memsz) & page_mask;
    // dlopen writes this variable when a library needs an executable stack.
    const Elf64_Addr open = reinterpret_cast<Elf64_Addr>(&__stack_prot) & page_mask;
    const Elf64_Addr open_end = open + _dl_pagesize;
    const bool is_inside = open >= first && open < last;
    const Elf64_Addr middle = is_inside ? open : last;
    if (first < middle) __mprotect(reinterpret_cast<void*>(first), middle - first, PROT_READ);
    if (is_inside && open_end < last)
        __mprotect(reinterpret_cast<void*>(open_end), last - open_end, PROT_READ);
}

void set_code_writable(bool writable) {
    static bool is_writable = false;
    if (is_writable == writable) return;
    is_writable = writable;
    const Elf64_Ehdr* header = image_header();
    const auto* segments = reinterpret_cast<const Elf64_Phdr*>(image_base() + header->e_phoff);
    for (int i = 0; i < header->e_phnum; ++i) {
        const Elf64_Phdr& segment = segments[i];
        if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
        const Elf64_Addr start = (image_base() + segment.p_vaddr) & ~(_dl_pagesize - 1);
        const Elf64_Addr end = image_base() + segment.p_vaddr + segment.p_memsz;
        if (__mprotect(reinterpret_cast<void*>(start), end - start,
                       PROT_READ | PROT_EXEC | (writable ? PROT_WRITE : 0)) != 0)
            _dl_fatal_printf("cannot change the protection of the libc image\n");
    }
}

void shift_image_tls(int64_t bytes) {
    const Elf64_Addr base = image_base();
    const DynamicTables tables = read_dynamic_tables();
    for (const Elf64_Rela* entry = tables.rela; entry != tables.rela_end; ++entry)
        if (ELF64_R_TYPE(entry->r_info) == R_X86_64_TPOFF64)
            *reinterpret_cast<int64_t*>(base + entry->r_offset) -= bytes;
    const auto& image = image::coracle_image_tables;
    for (uint64_t i = 0; i < image.tls_place_count; ++i) {
        const Elf64_Addr place = base + image.tls_places[i];
        set_code_writable(true);
        *reinterpret_cast<int32_t*>(place) -= static_cast<int32_t>(bytes);
    }
    set_code_writable(false);
}

}  // namespace coracle::loader

extern "C" void _dl_relocate_static_pie() {
    coracle::loader::relocate_image_functions();
}
