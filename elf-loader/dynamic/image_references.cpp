#include "elf-loader/dynamic/image_references.h"

#include "elf-loader/dynamic/dynamic_info.h"
#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/self_relocation.h"
#include "elf-loader/image.h"

namespace coracle::loader {
namespace {

constexpr int kClassCopy = 2;  // ELF_RTYPE_CLASS_COPY: the definition that is copied.

const Elf64_Sym* find_copied(const LinkMap& main_map, const char* name, const LinkMap& image) {
    const Elf64_Sym* symbol = nullptr;
    LinkMap* owner = _dl_lookup_symbol_x(name, const_cast<LinkMap*>(&main_map), &symbol,
                                         main_map.l_scope, nullptr, kClassCopy, 0, nullptr);
    return owner == &image ? symbol : nullptr;
}

// The first reference to the variable at an offset, or one behind the end.
const image::VariableReference* first_reference(uint64_t variable) {
    const auto& tables = image::coracle_image_tables;
    const image::VariableReference* low = tables.variable_references;
    const image::VariableReference* high = low + tables.variable_reference_count;
    while (low < high) {
        const image::VariableReference* middle = low + (high - low) / 2;
        if (middle->variable < variable)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void redirect(const image::VariableReference& reference, Elf64_Addr target, const char* name) {
    const Elf64_Addr place = image_base() + reference.place;
    const Elf64_Addr value = target + static_cast<int64_t>(reference.addend);
    if (reference.kind == image::ReferenceKind::kAddress) {
        *reinterpret_cast<Elf64_Addr*>(place) = value;
        return;
    }
    const auto distance = static_cast<int64_t>(value - place);
    if (distance != static_cast<int32_t>(distance))
        _dl_fatal_printf("%s: the program's variable %s is too far from the libc image\n",
                         _dl_argv[0], name);
    set_code_writable(true);
    *reinterpret_cast<int32_t*>(place) = static_cast<int32_t>(distance);
}

}  // namespace

void point_references_at_program(const LinkMap& main_map, const LinkMap& image) {
    const auto* rela = dynamic_pointer<const Elf64_Rela>(main_map, DT_RELA);
    if (rela == nullptr) return;
    const auto* end = rela + main_map.l_info[DT_RELASZ]->d_un.d_val / sizeof(Elf64_Rela);
    const auto* symbols = dynamic_pointer<const Elf64_Sym>(main_map, DT_SYMTAB);
    const char* names = dynamic_pointer<const char>(main_map, DT_STRTAB);
    const auto& tables = image::coracle_image_tables;
    const auto* references_end = tables.variable_references + tables.variable_reference_count;
    for (; rela != end; ++rela) {
        if (ELF64_R_TYPE(rela->r_info) != R_X86_64_COPY) continue;
        const char* name = names + symbols[ELF64_R_SYM(rela->r_info)].st_name;
        const Elf64_Sym* symbol = find_copied(main_map, name, image);
        if (symbol == nullptr) continue;
        const Elf64_Addr copy = main_map.l_addr + rela->r_offset;
        const uint64_t size = symbol->st_size > 0 ? symbol->st_size : 1;
        for (const auto* reference = first_reference(symbol->st_value);
             reference != references_end && reference->variable < symbol->st_value + size;
             ++reference)
            redirect(*reference, copy + (reference->variable - symbol->st_value), name);
    }
    set_code_writable(false);
}

}  // namespace coracle::loader
