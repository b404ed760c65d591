#include "elf-loader/dynamic/list_objects.h"

#include <string.h>
#include <unistd.h>

#include "elf-loader/dynamic/glibc_loader.h"

namespace coracle::loader {
namespace {

bool is_searched(const LinkMap& main_map, const LinkMap* map) {
    for (uint32_t i = 0; i < main_map.l_searchlist.count; ++i)
        if (main_map.l_searchlist.list[i] == map) return true;
    return false;
}

void print(const LinkMap& map) {
    const char* name = map.l_libname->name;
    if (map.l_faked)
        _dl_printf("\t%s => not found\n", name);
    else if (strcmp(name, map.l_name) == 0)
        _dl_printf("\t%s (0x%0*Zx)\n", name, 16, map.l_map_start);
    else
        _dl_printf("\t%s => %s (0x%0*Zx)\n", name, map.l_name, 16, map.l_map_start);
}

}  // namespace

void list_objects(const LinkMap& main_map) {
    if (main_map.l_info[DT_NEEDED] == nullptr) _dl_printf("\tstatically linked\n");
    // The image stands for more libraries than the program asks for.
    for (const LinkMap* map = main_map.l_next; map != nullptr; map = map->l_next)
        if (main_map.l_info[DT_NEEDED] != nullptr &&
            (is_searched(main_map, map) || map->l_libname->name[0] == '\0' ||
             strncmp(map->l_name, "linux-vdso", 10) == 0))
            print(*map);
    _exit(0);
}

}  // namespace coracle::loader
