#include "elf-loader/dynamic/program_allocator.h"

#include <string.h>
#include <unistd.h>

#include "elf-loader/dynamic/glibc_loader.h"
#include "elf-loader/dynamic/self_relocation.h"
#include "elf-loader/dynamic/symbol_address.h"
#include "elf-loader/image.h"

namespace coracle::loader {
namespace {

constexpr int kClassPlt = 1;

char* heap_start;
char* heap_end;  // Of what the image allocated before the program's functions took over.

void (*program_free)(void*);
void* (*program_realloc)(void*, size_t);
void* (*program_malloc)(size_t);

bool is_early(const void* block) {
    return block >= heap_start && block < heap_end;
}

void free_late(void* block) {
    if (!is_early(block)) program_free(block);
}

// The size of an early block is in front of it, with flags in the low bits (glibc's malloc chunk).
size_t early_size(const void* block) {
    return (static_cast<const size_t*>(block)[-1] & ~size_t{7}) - sizeof(size_t);
}

void* reallocate_late(void* block, size_t size) {
    if (!is_early(block)) return program_realloc(block, size);
    void* copy = program_malloc(size);
    const size_t old_size = early_size(block);
    if (copy != nullptr) memcpy(copy, block, size < old_size ? size : old_size);
    return copy;
}

void* find_program_function(const char* name, LinkMap& main_map) {
    // As a weak reference: a program without libraries, such as Go's, has no allocator at all.
    static const Elf64_Sym kWeakReference = {.st_name = 0,
                                             .st_info = ELF64_ST_INFO(STB_WEAK, STT_FUNC),
                                             .st_other = 0,
                                             .st_shndx = 0,
                                             .st_value = 0,
                                             .st_size = 0};
    const Elf64_Sym* symbol = &kWeakReference;
    LinkMap* owner = _dl_lookup_symbol_x(name, &main_map, &symbol, main_map.l_scope, nullptr,
                                         kClassPlt, 0, nullptr);
    if (symbol == nullptr || owner->l_addr == image_base()) return nullptr;
    return symbol_address(*owner, *symbol);
}

// What the image calls instead of one of the program's functions: that one, or ours before it.
void* adopt(const char* name, void* function) {
    if (strcmp(name, "malloc") == 0) {
        program_malloc = reinterpret_cast<decltype(program_malloc)>(function);
    } else if (strcmp(name, "free") == 0) {
        program_free = reinterpret_cast<decltype(program_free)>(function);
        return reinterpret_cast<void*>(free_late);
    } else if (strcmp(name, "realloc") == 0) {
        program_realloc = reinterpret_cast<decltype(program_realloc)>(function);
        return reinterpret_cast<void*>(reallocate_late);
    }
    return function;
}

}  // namespace

void note_heap_start() {
    heap_start = static_cast<char*>(sbrk(0));
}

void use_program_allocator(LinkMap& main_map) {
    const auto& tables = image::coracle_image_tables;
    for (uint64_t i = 0; i < tables.allocator_pointer_count; ++i) {
        const image::AllocatorPointer& pointer = tables.allocator_pointers[i];
        void* function = find_program_function(pointer.name, main_map);
        if (function == nullptr) continue;
        heap_end = static_cast<char*>(sbrk(0));
        *pointer.pointer = adopt(pointer.name, function);
    }
}

}  // namespace coracle::loader
