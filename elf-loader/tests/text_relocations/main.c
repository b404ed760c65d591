// A library with relocations in its code (DT_TEXTREL), and one that asks for an executable stack.
#include <dlfcn.h>
#include <stdio.h>

int from_text(void);

int main(void) {
    printf("%d\n", from_text());
    void* handle = dlopen("libexecstack.so", RTLD_NOW);
    if (!handle) {
        printf("%s\n", dlerror());
        return 1;
    }
    int (*run)(int) = (int (*)(int))dlsym(handle, "run_on_stack");
    printf("%d\n", run(20));
    return 0;
}
