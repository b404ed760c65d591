#include "elf-loader/dynamic/tls_descriptors.h"

#include <cpuid.h>
#include <sys/mman.h>

#include "elf-loader/dynamic/dynamic_info.h"
#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/tls_address.h"

// For tlsdesc_dynamic in start.S.
extern "C" {
__attribute__((visibility("hidden"))) uint64_t tlsdesc_save_size = 512;
__attribute__((visibility("hidden"))) uint32_t tlsdesc_has_xsave = 0;
long tlsdesc_dynamic(void*);
void* malloc(size_t size);
void free(void* pointer);
}

namespace coracle::loader {
namespace {

constexpr int kClassPlt = 1;
constexpr int kOutOfMemory = 12;

// Two words in an object's GOT, as code calls them (Alexandre Oliva, "Thread-Local Storage
// Descriptors for IA32 and AMD64/EM64T").
struct Descriptor {
    long (*resolve)(void*);
    void* argument;
};

void learn_register_size() {
    unsigned eax, ebx, ecx, edx;
    if (tlsdesc_has_xsave != 0 || !__get_cpuid(1, &eax, &ebx, &ecx, &edx) ||
        (ecx & bit_OSXSAVE) == 0)
        return;
    // EBX of leaf 13: the bytes that xsave writes for all features that are switched on.
    if (!__get_cpuid_count(13, 0, &eax, &ebx, &ecx, &edx)) return;
    tlsdesc_save_size = (ebx + 63) & ~63U;
    tlsdesc_has_xsave = 1;
}

template <typename Visit>
void for_each_descriptor(const LinkMap& map, Visit visit) {
    constexpr struct {
        int address, size;
    } kTables[] = {{DT_RELA, DT_RELASZ}, {DT_JMPREL, DT_PLTRELSZ}};
    for (const auto& table : kTables) {
        const auto* entry = dynamic_pointer<const Elf64_Rela>(map, table.address);
        if (entry == nullptr || map.l_info[table.size] == nullptr) continue;
        const auto* end = entry + map.l_info[table.size]->d_un.d_val / sizeof(Elf64_Rela);
        for (; entry != end; ++entry)
            if (ELF64_R_TYPE(entry->r_info) == R_X86_64_TLSDESC) visit(*entry);
    }
}

struct Variable {
    LinkMap* owner;
    const Elf64_Sym* symbol;
};

// What a descriptor's symbol is bound to; no owner for a weak symbol that nothing defines.
Variable find_variable(LinkMap& map, Scope** scope, const Elf64_Rela& relocation) {
    const uint64_t index = ELF64_R_SYM(relocation.r_info);
    const Elf64_Sym* symbol = dynamic_pointer<const Elf64_Sym>(map, DT_SYMTAB) + index;
    const int visibility = ELF64_ST_VISIBILITY(symbol->st_other);
    if (ELF64_ST_BIND(symbol->st_info) == STB_LOCAL || visibility == STV_HIDDEN ||
        visibility == STV_INTERNAL)
        return {&map, symbol};
    const FoundVersion* version = nullptr;
    if (map.l_versyms != nullptr && map.l_versions != nullptr) {
        version = &map.l_versions[map.l_versyms[index] & 0x7fff];
        if (version->hash == 0) version = nullptr;
    }
    const char* name = dynamic_pointer<const char>(map, DT_STRTAB) + symbol->st_name;
    LinkMap* owner = _dl_lookup_symbol_x(name, &map, &symbol, scope, version, kClassPlt,
                                         kLookupAddDependency, nullptr);
    return {symbol != nullptr ? owner : nullptr, symbol};
}

bool has_static_storage(const LinkMap& map) {
    return map.l_tls_offset != kNoTlsOffset && map.l_tls_offset != kForcedDynamicTlsOffset;
}

// Objects whose TLS offset pretends that they have static storage, while _dl_relocate_object looks
// at them.
class Pretence {
  public:
    void add(LinkMap& map) {
        if (has_static_storage(map) || count_ == kMaximum) return;
        maps_[count_] = &map;
        offsets_[count_++] = map.l_tls_offset;
        map.l_tls_offset = 1;
    }
    bool covers(const LinkMap* map) const {
        for (unsigned i = 0; i < count_; ++i)
            if (maps_[i] == map) return true;
        return false;
    }
    void end() {
        for (unsigned i = 0; i < count_; ++i) maps_[i]->l_tls_offset = offsets_[i];
    }

  private:
    static constexpr unsigned kMaximum = 16;  // Others get static storage, or an error.
    LinkMap* maps_[kMaximum];
    ptrdiff_t offsets_[kMaximum];
    unsigned count_ = 0;
};

struct Relocation {
    LinkMap* map;
    Scope** scope;
    int mode;
    int consider_profiling;
};

void relocate(void* argument) {
    const auto& r = *static_cast<Relocation*>(argument);
    _dl_relocate_object(r.map, r.scope, r.mode, r.consider_profiling);
}

// Gives the descriptors of the objects that pretended another resolver. Their arguments are one
// block of memory, which goes with the object.
void make_dynamic(LinkMap& map, Scope** scope, const Pretence& pretence, unsigned count) {
    auto* argument =
        static_cast<DynamicTlsDescriptor*>(malloc(count * sizeof(DynamicTlsDescriptor)));
    if (argument == nullptr)
        _dl_signal_error(kOutOfMemory, map.l_name, nullptr, "cannot allocate TLS descriptors");
    map.l_mach_tlsdesc_table = argument;
    for_each_descriptor(map, [&](const Elf64_Rela& relocation) {
        const Variable variable = find_variable(map, scope, relocation);
        if (variable.owner == nullptr || !pretence.covers(variable.owner)) return;
        const size_t module = variable.owner->l_tls_modid;
        *argument = {{module, variable.symbol->st_value + relocation.r_addend},
                     module_generation(module)};
        *reinterpret_cast<Descriptor*>(map.l_addr + relocation.r_offset) = {tlsdesc_dynamic,
                                                                            argument};
        ++argument;
    });
}

}  // namespace

extern "C" void coracle_relocate_object(LinkMap* map, Scope** scope, int mode,
                                        int consider_profiling) {
    unsigned count = 0;
    Pretence pretence;
    // An object with DF_STATIC_TLS has other code that needs static storage.
    if ((map->l_flags & DF_STATIC_TLS) == 0) {
        for_each_descriptor(*map, [&](const Elf64_Rela& relocation) {
            const Variable variable = find_variable(*map, scope, relocation);
            if (variable.owner == nullptr) return;
            pretence.add(*variable.owner);
            if (pretence.covers(variable.owner)) ++count;
        });
    }
    if (count == 0) {
        _dl_relocate_object(map, scope, mode, consider_profiling);
        return;
    }
    learn_register_size();
    const size_t relro_size = map->l_relro_size;
    map->l_relro_size = 0;
    Relocation relocation = {map, scope, mode, consider_profiling};
    Exception exception;
    const int error = _dl_catch_exception(&exception, relocate, &relocation);
    map->l_relro_size = relro_size;
    pretence.end();
    if (exception.message != nullptr) _dl_signal_exception(error, &exception, nullptr);
    make_dynamic(*map, scope, pretence, count);
    if (relro_size != 0) _dl_protect_relro(map);
}

// In place of elf/tlsdesc.c's: called when an object is unloaded.
extern "C" void _dl_unmap(LinkMap* map) {
    munmap(reinterpret_cast<void*>(map->l_map_start), map->l_map_end - map->l_map_start);
    free(map->l_mach_tlsdesc_table);
}

}  // namespace coracle::loader
