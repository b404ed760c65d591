// Forty libraries in a chain, each searched through its predecessor's dependencies.
#include <link.h>
#include <stdio.h>

int link_1(int value);

static int count_objects(struct dl_phdr_info* info, size_t size, void* data) {
    (void)size;
    int* count = data;
    for (const char* c = info->dlpi_name; *c; ++c)
        if (c[0] == 'l' && c[1] == 'i' && c[2] == 'b' && c[3] == 'l' && c[4] == 'i') ++*count;
    return 0;
}

int main(void) {
    int count = 0;
    dl_iterate_phdr(count_objects, &count);
    printf("%d %d\n", link_1(0), count);
    return 0;
}
