// __libc_start_main, which the program's _start calls. The process is set up already: what is
// left is the program's own initialisation and main.
#include "elf-loader/dynamic/glibc_loader.h"

namespace coracle::loader {
namespace {

using MainFunction = int (*)(int, char**, char**);
using InitFunction = void (*)(int, char**, char**);

// Preinit functions have run in _dl_init, before the libraries' constructors.
void run_constructors(int argc, char** argv) {
    const LinkMap& map = *_dl_ns[0].loaded;
    if (const Elf64_Dyn* init = map.l_info[DT_INIT])
        reinterpret_cast<InitFunction>(map.l_addr + init->d_un.d_ptr)(argc, argv, __environ);
    const Elf64_Dyn* array = map.l_info[DT_INIT_ARRAY];
    if (array == nullptr) return;
    const auto* function = reinterpret_cast<const InitFunction*>(map.l_addr + array->d_un.d_ptr);
    const auto count = map.l_info[DT_INIT_ARRAYSZ]->d_un.d_val / sizeof(InitFunction);
    for (uint64_t i = 0; i < count; ++i) function[i](argc, argv, __environ);
}

}  // namespace
}  // namespace coracle::loader

using namespace coracle::loader;

// `init` is the program's own __libc_csu_init if it was linked before glibc 2.34, null otherwise.
extern "C" __attribute__((visibility("default"))) int __libc_start_main(
    MainFunction main, int argc, char** argv, InitFunction init, void (*)(), void (*rtld_fini)(),
    void*) {
    if (rtld_fini != nullptr)
        __cxa_atexit(reinterpret_cast<void (*)(void*)>(rtld_fini), nullptr, nullptr);
    if (init != nullptr)
        init(argc, argv, __environ);
    else
        run_constructors(argc, argv);
    __libc_start_call_main(main, argc, argv);
}
