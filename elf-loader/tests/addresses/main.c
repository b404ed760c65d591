// dladdr, dladdr1, dlinfo, dl_iterate_phdr, _dl_find_object and link maps agree on who is where.
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

int library_function(int value);
static int own_static = 1;

static const char* base_name(const char* path) {
    const char* slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int has_main_first(struct dl_phdr_info* info, size_t size, void* data) {
    int* position = data;
    if ((*position)++ == 0)
        printf("first: '%s' %d headers, %d\n", info->dlpi_name, info->dlpi_phnum > 5,
               size >= sizeof *info);
    return 0;
}

int main(void) {
    Dl_info info;
    void* found = dlsym(RTLD_DEFAULT, "library_function");
    printf("%d ", dladdr(found, &info) != 0);
    printf("%s %s %d\n", base_name(info.dli_fname), info.dli_sname, info.dli_saddr == found);
    printf("%d ", dladdr(dlsym(RTLD_DEFAULT, "strtol"), &info) != 0);
    printf("%s %d\n", base_name(info.dli_fname), info.dli_saddr != NULL);
    struct link_map* map;
    printf("%d ", dladdr1(&own_static, &info, (void**)&map, RTLD_DL_LINKMAP) != 0);
    printf("'%s' %d\n", map->l_name, info.dli_sname == NULL);
    printf("%d\n", dladdr((void*)16, &info));

    void* handle = dlopen("libaddresses.so", RTLD_LAZY | RTLD_NOLOAD);
    struct link_map* opened;
    printf("%d ", dlinfo(handle, RTLD_DI_LINKMAP, &opened));
    printf("%s\n", base_name(opened->l_name));
    Lmid_t name_space;
    printf("%d ", dlinfo(handle, RTLD_DI_LMID, &name_space));
    printf("%ld\n", (long)name_space);
    struct dl_find_object object;
    printf("%d ", _dl_find_object(found, &object));
    printf("%d\n", object.dlfo_link_map == opened);
    printf("%d\n", _dl_find_object((void*)16, &object));
    printf("debug: version %d, map %d, brk %d\n", _r_debug.r_version > 0, _r_debug.r_map == map,
           _r_debug.r_brk != 0);
    int seen = 0;
    for (struct link_map* m = map; m; m = m->l_next) seen |= m == opened;
    printf("linked: %d\n", seen);
    int position = 0;
    dl_iterate_phdr(has_main_first, &position);
    printf("%d\n", library_function(1));
    printf("newns: %d\n", dlmopen(LM_ID_BASE, "libaddresses.so", RTLD_NOW) == handle);
    return 0;
}
