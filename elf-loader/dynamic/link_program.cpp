#include "elf-loader/dynamic/link_program.h"

#include <string.h>
#include <unistd.h>

#include "elf-loader/dynamic/dynamic_info.h"
#include "elf-loader/dynamic/environment.h"
#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/glibc_thread.h"
#include "elf-loader/dynamic/image_map.h"
#include "elf-loader/dynamic/image_references.h"
#include "elf-loader/dynamic/list_objects.h"
#include "elf-loader/dynamic/preload.h"
#include "elf-loader/dynamic/program_allocator.h"
#include "elf-loader/dynamic/program_map.h"
#include "elf-loader/dynamic/self_relocation.h"
#include "elf-loader/dynamic/thread_storage.h"
#include "elf-loader/dynamic/tls_descriptors.h"

namespace coracle::loader {
namespace {

// libc.a's own start-up of its loader: vDSO, search paths and the environment. It would take the
// program for a static one, which is relocated, and protect its RELRO part; and it would expand
// $ORIGIN in the program's search path, which is not known yet if the image runs as a command.
void start_loader(LinkMap& main_map, const LinkedProgram& program) {
    const size_t segment_count = _dl_phnum;
    const size_t relro_size = main_map.l_relro_size;
    Elf64_Dyn* const rpath = main_map.l_info[DT_RPATH];
    Elf64_Dyn* const runpath = main_map.l_info[DT_RUNPATH];
    _dl_phnum = 0;
    main_map.l_relro_size = 0;
    main_map.l_info[DT_RPATH] = main_map.l_info[DT_RUNPATH] = nullptr;
    _dl_non_dynamic_init();
    _dl_phnum = segment_count;
    main_map.l_relro_size = relro_size;
    main_map.l_phnum = static_cast<uint16_t>(segment_count);
    main_map.l_info[DT_RPATH] = rpath;
    main_map.l_info[DT_RUNPATH] = runpath;
    main_map.l_rpath_dirs.dirs = main_map.l_runpath_dirs.dirs = nullptr;  // Expanded at first use.
    if (program.run_as_command) set_program_origin(main_map, _dl_argv[0]);
}

void assign_tls_module(LinkMap& map) {
    if (map.l_tls_blocksize != 0) map.l_tls_modid = ++_dl_tls_max_dtv_idx;
}

struct VersionCheck {
    LinkMap* map;
    bool trace;
};

void check_versions(void* argument) {
    const auto& check = *static_cast<VersionCheck*>(argument);
    _dl_check_map_versions(check.map, 1, check.trace);
}

// Every object that lacks a version is named, then the process ends.
void check_all_versions(bool trace) {
    bool missing = false;
    for (LinkMap* map = _dl_ns[0].loaded; map != nullptr; map = map->l_next) {
        // Objects without symbols, such as libm.so.6, need no table of versions.
        if (map->l_faked || (is_image_map(map) && map->l_nbuckets == 0)) continue;
        VersionCheck check = {map, trace};
        const char* object = nullptr;
        const char* message = nullptr;
        bool allocated = false;
        _dl_catch_error(&object, &message, &allocated, check_versions, &check);
        if (message == nullptr) continue;
        _dl_error_printf("%s: %s: %s\n", _dl_argv[0], object, message);
        missing = true;
    }
    if (missing && !trace) _exit(1);
}

// In reverse order of the search, so that a copy relocation finds relocated data, and a resolver
// the functions that it calls.
void relocate_objects(LinkMap& main_map) {
    for (uint32_t i = main_map.l_searchlist.count; i-- > 0;) {
        LinkMap* map = main_map.l_initfini[i];
        for (LibraryName* name = map->l_libname->next; name != nullptr; name = name->next)
            name->dont_free = 1;
        map->l_free_initfini = 0;
        if (!map->l_relocated)
            coracle_relocate_object(map, map->l_scope, _dl_lazy ? kModeLazy : 0, 0);
    }
}

void tell_debugger(LinkMap& main_map, LinkMap& image) {
    DebugState* state = _dl_debug_initialize(image.l_addr, kBaseNamespace);
    if (main_map.l_info[DT_DEBUG] != nullptr && !main_map.l_ld_readonly)
        main_map.l_info[DT_DEBUG]->d_un.d_ptr = reinterpret_cast<Elf64_Addr>(state);
    state->r_state = DebugState::kAdd;
    _dl_debug_state();
}

}  // namespace

void link_program(LinkedProgram& program) {
    note_heap_start();
    LinkMap& main_map = *_dl_get_dl_main_map();
    program.main_map = &main_map;
    const Environment environment = read_environment();
    if (program.run_as_command) map_program_file(_dl_argv[0]);
    enter_program_map(main_map);
    program.entry = main_map.l_entry;
    assign_tls_module(main_map);

    start_loader(main_map, program);
    LinkMap& image = *enter_image();
    assign_tls_module(image);
    tell_debugger(main_map, image);

    PreloadList preloads;
    load_preloads(environment, main_map, preloads);
    _dl_map_object_deps(&main_map, preloads.maps, preloads.count, environment.list_objects, 0);
    const Scope& objects = main_map.l_searchlist;
    for (uint32_t i = 0; i < objects.count; ++i) objects.list[i]->l_global = 1;
    check_all_versions(environment.list_objects);
    if (environment.list_objects) list_objects(main_map);

    _dl_ns[0].main_searchlist = &main_map.l_searchlist;
    _dl_initial_searchlist = main_map.l_searchlist;
    install_thread_storage(image);
    relocate_objects(main_map);
    point_references_at_program(main_map, image);
    initialize_thread_blocks(image);
    _dl_init_all_dirs = _dl_all_dirs;
    _dl_find_object_init();
    use_program_allocator(main_map);

    _dl_unload_cache();
    protect_image();
    _dl_debug_update(kBaseNamespace)->r_state = DebugState::kConsistent;
    _dl_debug_state();
}

}  // namespace coracle::loader
