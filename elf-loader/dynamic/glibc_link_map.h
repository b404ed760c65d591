// The link map of glibc 2.36 and what hangs on it, with the layout that the loader's functions in
// libc.a were compiled with (include/link.h of glibc 2.36; checked against the debug information
// of libc6-dbg). Field names are glibc's, so that its manuals and gdb agree with this file.
#pragma once

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

namespace coracle::loader {

struct LinkMap;
struct FoundVersion;

// A list of objects in which a symbol is searched, in order.
struct Scope {
    LinkMap** list;
    uint32_t count;
};

// One more name by which an object is known, beside l_name.
struct LibraryName {
    const char* name;
    LibraryName* next;
    int dont_free;
};

struct SearchPath {
    void** dirs;
    int malloced;
};

enum class MapType : uint32_t { kExecutable, kLibrary, kLoaded };

constexpr ptrdiff_t kNoTlsOffset = 0;  // Not decided yet whether its TLS is static or dynamic.
constexpr ptrdiff_t kForcedDynamicTlsOffset = -1;

struct LinkMap {
    Elf64_Addr l_addr;
    char* l_name;
    Elf64_Dyn* l_ld;
    LinkMap* l_next;
    LinkMap* l_prev;
    LinkMap* l_real;
    long l_ns;
    LibraryName* l_libname;
    Elf64_Dyn* l_info[80];
    const Elf64_Phdr* l_phdr;
    Elf64_Addr l_entry;
    uint16_t l_phnum;
    uint16_t l_ldnum;
    Scope l_searchlist;
    Scope l_symbolic_searchlist;
    LinkMap* l_loader;
    FoundVersion* l_versions;
    uint32_t l_nversions;
    uint32_t l_nbuckets;
    uint32_t l_gnu_bitmask_idxbits;
    uint32_t l_gnu_shift;
    const Elf64_Addr* l_gnu_bitmask;
    const uint32_t* l_gnu_buckets;
    const uint32_t* l_gnu_chain_zero;
    uint32_t l_direct_opencount;
    MapType l_type : 2;
    uint32_t l_dt_relr_ref : 1;
    uint32_t l_relocated : 1;
    uint32_t l_init_called : 1;
    uint32_t l_global : 1;
    uint32_t l_reserved : 2;
    uint32_t l_main_map : 1;
    uint32_t l_visited : 1;
    uint32_t l_map_used : 1;
    uint32_t l_map_done : 1;
    uint32_t l_phdr_allocated : 1;
    uint32_t l_soname_added : 1;
    uint32_t l_faked : 1;
    uint32_t l_need_tls_init : 1;
    uint32_t l_auditing : 1;
    uint32_t l_audit_any_plt : 1;
    uint32_t l_removed : 1;
    uint32_t l_contiguous : 1;
    uint32_t l_free_initfini : 1;
    uint32_t l_ld_readonly : 1;
    uint32_t l_find_object_processed : 1;
    bool l_nodelete_active;
    bool l_nodelete_pending;
    uint8_t l_property : 2;
    uint32_t l_x86_feature_1_and;
    uint32_t l_x86_isa_1_needed;
    uint32_t l_1_needed;
    SearchPath l_rpath_dirs;
    void* l_reloc_result;
    Elf64_Versym* l_versyms;
    const char* l_origin;
    Elf64_Addr l_map_start;
    Elf64_Addr l_map_end;
    Elf64_Addr l_text_end;
    Scope* l_scope_mem[4];
    size_t l_scope_max;
    Scope** l_scope;
    Scope* l_local_scope[2];
    uint64_t l_file_dev;
    uint64_t l_file_ino;
    SearchPath l_runpath_dirs;
    LinkMap** l_initfini;
    LinkMap* l_init_called_next;
    void* l_reldeps;
    uint32_t l_reldepsmax;
    uint32_t l_used;
    uint32_t l_feature_1;
    uint32_t l_flags_1;
    uint32_t l_flags;
    int l_idx;
    Elf64_Addr l_mach_plt;
    Elf64_Addr l_mach_gotplt;
    void* l_mach_tlsdesc_table;
    struct {
        const Elf64_Sym* sym;
        int type_class;
        LinkMap* value;
        const Elf64_Sym* ret;
    } l_lookup_cache;
    void* l_tls_initimage;
    size_t l_tls_initimage_size;
    size_t l_tls_blocksize;
    size_t l_tls_align;
    size_t l_tls_firstbyte_offset;
    ptrdiff_t l_tls_offset;  // The block starts so many bytes below the thread pointer.
    size_t l_tls_modid;
    size_t l_tls_dtor_count;
    Elf64_Addr l_relro_addr;
    size_t l_relro_size;
    unsigned long long l_serial;
};
static_assert(offsetof(LinkMap, l_phdr) == 704);
static_assert(offsetof(LinkMap, l_direct_opencount) == 816);
static_assert(offsetof(LinkMap, l_nodelete_active) == 823);
static_assert(offsetof(LinkMap, l_rpath_dirs) == 840);
static_assert(offsetof(LinkMap, l_scope_mem) == 904);
static_assert(offsetof(LinkMap, l_initfini) == 1000);
static_assert(offsetof(LinkMap, l_tls_initimage) == 1104);
static_assert(sizeof(LinkMap) == 1192);

// The index in l_info of a dynamic tag of each range; plain tags are their own index.
constexpr int version_tag_index(int64_t tag) {
    return DT_NUM + (0x6fffffff - tag);
}
constexpr int extra_tag_index(int64_t tag) {
    return DT_NUM + DT_VERSIONTAGNUM + (0x7fffffff - tag);
}
constexpr int value_tag_index(int64_t tag) {
    return DT_NUM + DT_VERSIONTAGNUM + DT_EXTRANUM + (DT_VALRNGHI - tag);
}
constexpr int address_tag_index(int64_t tag) {
    return DT_NUM + DT_VERSIONTAGNUM + DT_EXTRANUM + DT_VALNUM + (DT_ADDRRNGHI - tag);
}
static_assert(DT_NUM == 38 && address_tag_index(DT_ADDRRNGHI - DT_ADDRNUM + 1) == 79);

// The debugger's view of the loader, <link.h>.
struct DebugState {
    int r_version;
    LinkMap* r_map;
    Elf64_Addr r_brk;
    enum : int { kConsistent, kAdd, kDelete } r_state;
    Elf64_Addr r_ldbase;
};

// The objects of one namespace; libc.a is built with one namespace.
struct Namespace {
    LinkMap* loaded;
    uint32_t count;
    Scope* main_searchlist;
    uint32_t global_scope_alloc;
    uint32_t global_scope_pending_adds;
    LinkMap* libc_map;
    char unique_symbols[72];
    char debug[48];
};
static_assert(sizeof(Namespace) == 160);

}  // namespace coracle::loader
