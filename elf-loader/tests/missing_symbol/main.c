// The library that was there at link time had the function; the one at run time has not. Lazily
// bound it is found missing at the call, with -z now before main, in dlopen by its error.
#include <dlfcn.h>
#include <stdio.h>

int present(void);
int absent(void);

int main(int argc, char** argv) {
    (void)argv;
    printf("present %d\n", present());
    void* handle = dlopen("libneeds_absent.so", RTLD_NOW);
    printf("%s\n", handle ? "loaded" : dlerror());
    fflush(stdout);
    return argc > 5 ? 0 : absent();
}
