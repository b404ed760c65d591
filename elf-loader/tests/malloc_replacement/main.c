// The program's own allocator serves libc too: what libc allocates, the program frees.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char arena[1 << 22];
static size_t used;
static int allocations, frees, foreign;

// The compiler knows that what strdup returns cannot point into another object.
__attribute__((noipa)) static int is_ours(void* p) {
    return (char*)p >= arena && (char*)p < arena + sizeof arena;
}

void* malloc(size_t size) {
    size_t need = (size + 31) & ~(size_t)15;
    if (used + need > sizeof arena) return NULL;
    char* block = arena + used;
    used += need;
    *(size_t*)block = size;
    ++allocations;
    return block + 16;
}
void free(void* p) {
    if (!p) return;
    ++frees;
    if (!is_ours(p)) ++foreign;
}
void* calloc(size_t count, size_t size) {
    void* p = malloc(count * size);
    if (p) memset(p, 0, count * size);
    return p;
}
void* realloc(void* p, size_t size) {
    if (!p) return malloc(size);
    if (!is_ours(p)) ++foreign;
    void* q = malloc(size);
    size_t old = ((size_t*)p)[-2];
    if (q) memcpy(q, p, old < size ? old : size);
    return q;
}

int unique_sum(void);

int main(void) {
    printf("at start: %d\n", unique_sum());
    int before = allocations;
    char* copy = strdup("copied");
    printf("strdup ours: %d\n", is_ours(copy) && allocations == before + 1);
    free(copy);
    char* text = NULL;
    if (asprintf(&text, "%d-%s", 7, "seven") < 0) return 1;
    printf("%s ours: %d\n", text, is_ours(text));
    free(text);
    char* line = NULL;
    size_t size = 0;
    FILE* memory = fmemopen("first line\nsecond\n", 18, "r");
    while (getline(&line, &size, memory) > 0) printf("%zu %s", size >= 11 ? size : 0, line);
    printf("getline ours: %d\n", is_ours(line));
    free(line);
    fclose(memory);
    char* path = realpath("/", NULL);
    printf("realpath ours: %d\n", is_ours(path));
    free(path);
    int (*unique_sum)(void) = (int (*)(void))dlsym(dlopen("libplugin.so", RTLD_NOW), "unique_sum");
    printf("plugin: %d\n", unique_sum());
    printf("foreign frees: %d\n", foreign);
    return 0;
}
