/* Copies the kernel's segments to their physical addresses and fills the zero page
 * (Documentation/x86/zero-page.rst) from the PVH start information. */
#include <elf.h>
#include <stdint.h>

struct start_info {
    uint32_t magic, version, flags, module_count;
    uint64_t modules, command_line, rsdp, memory_map;
    uint32_t memory_map_entries, reserved;
};
struct module {
    uint64_t address, size, command_line, reserved;
};
struct memory_entry {
    uint64_t address, size;
    uint32_t type, reserved;
};
struct __attribute__((packed)) e820_entry {
    uint64_t address, size;
    uint32_t type;
};
struct start {
    uint8_t *boot_params;
    uint64_t entry;
};

extern const uint8_t kernel_file[];
static uint8_t boot_params[4096] __attribute__((aligned(4096)));

static void copy(uint8_t *to, const uint8_t *from, uint64_t size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size)::"memory");
}

static void put32(unsigned offset, uint64_t value) {
    *(volatile uint32_t *)(boot_params + offset) = (uint32_t)value;
}

struct start load_kernel(const struct start_info *info) {
    const Elf64_Ehdr *header = (const Elf64_Ehdr *)kernel_file;
    const Elf64_Phdr *segments = (const Elf64_Phdr *)(kernel_file + header->e_phoff);
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_LOAD) continue;
        uint8_t *to = (uint8_t *)segments[i].p_paddr;
        copy(to, kernel_file + segments[i].p_offset, segments[i].p_filesz);
        for (uint64_t at = segments[i].p_filesz; at < segments[i].p_memsz; at++) {
            *(volatile uint8_t *)(to + at) = 0;
        }
    }
    const struct memory_entry *map = (const struct memory_entry *)info->memory_map;
    struct e820_entry *table = (struct e820_entry *)(boot_params + 0x2d0);
    for (unsigned i = 0; i < info->memory_map_entries && i < 128; i++) {
        table[i].address = map[i].address;
        table[i].size = map[i].size;
        table[i].type = map[i].type;
        boot_params[0x1e8] = (uint8_t)(i + 1);
    }
    if (info->module_count > 0) {
        const struct module *module = (const struct module *)info->modules;
        put32(0x218, module->address);
        put32(0x21c, module->size);
    }
    put32(0x228, info->command_line);
    put32(0x070, info->rsdp);
    return (struct start){boot_params, header->e_entry};
}
