#include "elf-loader/dynamic/image_map.h"

#include "elf-loader/dynamic/dynamic_info.h"
#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/self_relocation.h"

namespace coracle::loader {
namespace {

#define CORACLE_LIBRARY_DIRECTORY "/lib/x86_64-linux-gnu/"

// A library by its soname and by the absolute names under which programs open it.
struct ProvidedLibrary {
    const char* path;
    const char* soname;
    const char* other_path;
};

#define PROVIDED(soname) \
    { CORACLE_LIBRARY_DIRECTORY soname, soname, "/usr" CORACLE_LIBRARY_DIRECTORY soname }

const ProvidedLibrary kProvided[] = {
    PROVIDED("libc.so.6"),
    PROVIDED("libm.so.6"),
    PROVIDED("libpthread.so.0"),
    PROVIDED("libdl.so.2"),
    PROVIDED("librt.so.1"),
    PROVIDED("libresolv.so.2"),
    PROVIDED("libutil.so.1"),
    PROVIDED("libmvec.so.1"),
    PROVIDED("libanl.so.1"),
    {"/lib64/ld-linux-x86-64.so.2", "ld-linux-x86-64.so.2",
     CORACLE_LIBRARY_DIRECTORY "ld-linux-x86-64.so.2"},
};
constexpr int kProvidedCount = sizeof(kProvided) / sizeof(kProvided[0]);

LinkMap* provided_maps[kProvidedCount];
LibraryName other_names[kProvidedCount];

// What a dependency search from any of the libraries yields: itself, then libc.
LinkMap* search_lists[kProvidedCount][3];

LinkMap* new_map(int index) {
    const ProvidedLibrary& library = kProvided[index];
    LinkMap* map = _dl_new_object(const_cast<char*>(library.path), library.soname,
                                  static_cast<int>(MapType::kLibrary), nullptr, 0, kBaseNamespace);
    if (map == nullptr) _dl_fatal_printf("cannot enter the libc image: out of memory\n");
    other_names[index] = {library.other_path, nullptr, 1};
    map->l_libname->next = &other_names[index];
    map->l_relocated = 1;
    map->l_init_called = 0;
    map->l_nodelete_active = true;
    map->l_soname_added = 1;
    map->l_contiguous = 1;

    LinkMap** list = search_lists[index];
    list[0] = map;
    list[1] = index == 0 ? nullptr : provided_maps[0];
    map->l_searchlist = {list, index == 0 ? 1U : 2U};
    map->l_initfini = list;
    provided_maps[index] = map;
    return map;
}

}  // namespace

LinkMap* enter_image() {
    LinkMap* libc = new_map(0);
    const Elf64_Ehdr* header = image_header();
    libc->l_addr = image_base();
    libc->l_phdr = reinterpret_cast<const Elf64_Phdr*>(libc->l_addr + header->e_phoff);
    libc->l_phnum = header->e_phnum;
    libc->l_ld = image_dynamic();
    read_program_headers(*libc);
    libc->l_ld_readonly = 1;  // It is read again when the image's variables move.
    read_dynamic_section(*libc);
    // The image's start has run its own constructors, and atexit knows its destructors.
    constexpr int kDone[] = {DT_INIT, DT_FINI, DT_INIT_ARRAY, DT_FINI_ARRAY, DT_PREINIT_ARRAY};
    for (const int index : kDone) libc->l_info[index] = nullptr;
    _dl_setup_hash(libc);
    _dl_add_to_namespace_list(libc, kBaseNamespace);

    for (int i = 1; i < kProvidedCount; ++i) {
        LinkMap* map = new_map(i);
        // The names of its versions, for the objects that require them; no symbols.
        constexpr int kShared[] = {DT_STRTAB, DT_SYMTAB, version_tag_index(DT_VERDEF),
                                   version_tag_index(DT_VERDEFNUM), version_tag_index(DT_VERSYM)};
        for (const int index : kShared) map->l_info[index] = libc->l_info[index];
        map->l_addr = libc->l_addr;
        map->l_ld = libc->l_ld;
        map->l_ld_readonly = libc->l_ld_readonly;
        map->l_map_start = map->l_map_end = map->l_text_end = libc->l_map_end;
        _dl_add_to_namespace_list(map, kBaseNamespace);
    }
    return libc;
}

bool is_image_map(const LinkMap* map) {
    for (const LinkMap* provided : provided_maps)
        if (provided == map) return true;
    return false;
}

}  // namespace coracle::loader
