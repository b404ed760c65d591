// A program with its own malloc family: libc must use it too.
#define _GNU_SOURCE
#include <errno.h>
#include <glob.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char arena[1 << 22];
static size_t used;
static int allocations, releases, foreign;

static int is_own(void* pointer) {
    return (char*)pointer >= arena && (char*)pointer < arena + sizeof(arena);
}

void* memalign(size_t align, size_t size) {
    size_t start = (used + 16 + align - 1) / align * align;
    if (start + size > sizeof(arena)) {
        errno = ENOMEM;
        return NULL;
    }
    *(size_t*)(arena + start - 8) = size;
    used = start + size;
    ++allocations;
    return arena + start;
}

void* malloc(size_t size) {
    return memalign(16, size);
}

void free(void* pointer) {
    if (pointer == NULL) return;
    ++releases;
    if (!is_own(pointer)) ++foreign;
}

void* calloc(size_t count, size_t size) {
    void* block = malloc(count * size);
    return block == NULL ? NULL : memset(block, 0, count * size);
}

void* realloc(void* old, size_t size) {
    void* block = malloc(size);
    if (old == NULL || block == NULL) return block;
    const size_t old_size = *(size_t*)((char*)old - 8);
    memcpy(block, old, old_size < size ? old_size : size);
    free(old);
    return block;
}

void* aligned_alloc(size_t align, size_t size) {
    return memalign(align, size);
}

int main(void) {
    char* copy = strdup("a string");
    char* line = NULL;
    size_t capacity = 0;
    FILE* file = fopen("/etc/passwd", "r");
    const ssize_t length = getline(&line, &capacity, file);
    char* formatted;
    const int size = asprintf(&formatted, "%s %zd", copy, length);
    glob_t matches;
    glob("/etc/pass*", 0, NULL, &matches);
    char* directory = getcwd(NULL, 0);
    printf("own: %d %d %d %d, length %d\n", is_own(copy), is_own(line), is_own(formatted),
           is_own(directory), size > 10);
    fclose(file);
    free(copy);
    free(line);
    free(formatted);
    free(directory);
    globfree(&matches);
    printf("allocations %s, releases %s, foreign %d\n", allocations > 6 ? "many" : "few",
           releases > 5 ? "many" : "few", foreign);
    return 0;
}
