// The functions and variables of libc.a's own dynamic loader (what a static program uses for
// dlopen) that this dynamic linker builds on. They are hidden symbols of glibc 2.36's elf/ and
// csu/; who links us links libc.a whole.
#pragma once

#include "elf-loader/dynamic/glibc_link_map.h"

namespace coracle::loader {

constexpr long kBaseNamespace = 0;
constexpr int kModeLazy = 1;             // RTLD_LAZY
constexpr int kModeSecure = 0x04000000;  // Name came from the environment: trusted paths only.

enum : int {  // Flags of _dl_lookup_symbol_x.
    kLookupAddDependency = 1,
    kLookupReturnNewest = 2,
    kLookupHoldsScope = 4,
};

// A version as a reference names it.
struct FoundVersion {
    const char* name;
    uint32_t hash;
    int hidden;
    const char* file_name;
};

struct Exception {
    const char* object;
    const char* message;
    char* buffer;
};

extern "C" {
// Objects: elf/dl-object.c, dl-load.c, dl-deps.c, dl-version.c, dl-reloc.c, dl-init.c, dl-fini.c.
LinkMap* _dl_new_object(char* real_name, const char* name, int type, LinkMap* loader, int mode,
                        long name_space);
void _dl_add_to_namespace_list(LinkMap* map, long name_space);
LinkMap* _dl_get_dl_main_map();
void _dl_setup_hash(LinkMap* map);
LinkMap* _dl_map_object(LinkMap* loader, const char* name, int type, int trace_mode, int mode,
                        long name_space);
void _dl_map_object_deps(LinkMap* map, LinkMap** preloads, unsigned count, int trace_mode,
                         int open_mode);
int _dl_check_map_versions(LinkMap* map, int verbose, int trace_mode);
void _dl_relocate_object(LinkMap* map, Scope** scope, int mode, int consider_profiling);
void _dl_protect_relro(LinkMap* map);
void _dl_init(LinkMap* main_map, int argc, char** argv, char** envp);
void _dl_fini();
void _dl_find_object_init();
int _dl_process_pt_gnu_property(LinkMap* map, int fd, const Elf64_Phdr* header);
LinkMap* _dl_lookup_symbol_x(const char* name, LinkMap* map, const Elf64_Sym** symbol,
                             Scope** scope, const FoundVersion* version, int type_class, int flags,
                             LinkMap* skip);
LinkMap* _dl_find_dso_for_object(Elf64_Addr address);

// Start: elf/dl-support.c, csu/libc-start.c, csu/init-first.c.
void _dl_non_dynamic_init();
void __init_misc(int argc, char** argv, char** envp);
[[noreturn]] int coracle_libc_start(int (*main)(int, char**, char**), int argc, char** argv,
                                    void (*init)(), void (*fini)(), void (*rtld_fini)(),
                                    void* stack_end);
[[noreturn]] void __libc_start_call_main(int (*main)(int, char**, char**), int argc, char** argv);
int __cxa_atexit(void (*function)(void*), void* argument, void* dso_handle);

// Messages: elf/dl-error-skeleton.c, dl-printf.c, dl-debug.c, dl-cache.c.
int _dl_catch_error(const char** object, const char** message, bool* allocated,
                    void (*operate)(void*), void* argument);
int _dl_catch_exception(Exception* exception, void (*operate)(void*), void* argument);
[[noreturn]] void _dl_signal_exception(int error, Exception* exception, const char* occasion);
[[noreturn]] void _dl_signal_error(int error, const char* object, const char* occasion,
                                   const char* message);
void _dl_printf(const char* format, ...);
void _dl_error_printf(const char* format, ...);
[[noreturn]] void _dl_fatal_printf(const char* format, ...);
DebugState* _dl_debug_initialize(Elf64_Addr base, long name_space);
DebugState* _dl_debug_update(long name_space);
void _dl_debug_state();
void _dl_unload_cache();

// Thread-local storage: elf/dl-tls.c, nptl/dl-tls_init_tp.c.
void __tls_pre_init_tp();
void __tls_init_tp();
void _dl_tls_static_surplus_init(size_t auditors);
void* _dl_allocate_tls_storage();
void* _dl_allocate_tls_init(void* thread_pointer, bool init_tls);

extern Namespace _dl_ns[1];
extern Scope _dl_initial_searchlist;
extern char** _dl_argv;
extern Elf64_auxv_t* _dl_auxv;
extern const Elf64_Phdr* _dl_phdr;
extern size_t _dl_phnum;
extern size_t _dl_pagesize;
extern uint32_t _dl_stack_flags;
extern int _dl_lazy;
extern int _dl_debug_mask;
extern int _dl_verbose;
extern const char* _dl_inhibit_rpath;
extern void* _dl_init_all_dirs;
extern void* _dl_all_dirs;
extern int __libc_enable_secure;
extern char** __environ;
extern char __libc_single_threaded;
}

}  // namespace coracle::loader
