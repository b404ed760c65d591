// $ORIGIN in a library's own RUNPATH, which does not reach the library's dependencies' search.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

const char* outer(void);

int main(void) {
    puts(outer());
    void* handle = dlopen("libonly_by_path.so", RTLD_NOW);
    printf("by name: %d\n", handle != NULL);
    handle = dlopen("$ORIGIN/sub/libonly_by_path.so", RTLD_NOW);
    printf("by $ORIGIN: %d\n", handle != NULL);
    char path[4096];
    if (handle && dlinfo(handle, RTLD_DI_ORIGIN, path) == 0)
        printf("origin ends in sub: %d\n", strcmp(path + strlen(path) - 4, "/sub") == 0);
    return 0;
}
