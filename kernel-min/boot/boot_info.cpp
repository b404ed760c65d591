#include "kernel-min/boot/boot_info.h"

#include "kernel-min/core/layout.h"
#include "kernel-min/lib/panic.h"

extern "C" char core_start[], kernel_image_end[];

namespace coracle {

BootInfo boot_info;

namespace {

struct PvhStartInfo {
    uint32_t magic, version, flags, module_count;
    uint64_t module_list, command_line, rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries, reserved;
};
struct PvhModule {
    uint64_t address, size, command_line, reserved;
};
struct PvhMemoryEntry {
    uint64_t address, size;
    uint32_t type, reserved;
};
constexpr uint32_t kPvhMagic = 0x336ec578;
constexpr uint32_t kTypeRam = 1;  // the same number in E820

// Offsets in Linux's struct boot_params ("zero page").
constexpr size_t kZeroRsdp = 0x070, kZeroExtImage = 0x0c0, kZeroExtImageSize = 0x0c4,
                 kZeroExtCommandLine = 0x0c8, kZeroE820Entries = 0x1e8, kZeroImage = 0x218,
                 kZeroImageSize = 0x21c, kZeroCommandLine = 0x228, kZeroE820Table = 0x2d0;
struct [[gnu::packed]] E820Entry {
    uint64_t address, size;
    uint32_t type;
};

void add_usable(uint64_t start, uint64_t size) {
    // The first MiB holds firmware's things on some machines: it is not worth the care.
    uint64_t end = (start + size) & ~(kPageSize - 1);
    start = (start + kPageSize - 1) & ~(kPageSize - 1);
    if (start < 0x100000) start = 0x100000;
    if (start >= end || boot_info.usable_count == BootInfo::kMaxRanges) return;
    boot_info.usable[boot_info.usable_count++] = {start, end};
}

void reserve(uint64_t start, uint64_t size) {
    if (size == 0) return;
    ASSERT(boot_info.reserved_count < sizeof(boot_info.reserved) / sizeof(MemoryRange));
    boot_info.reserved[boot_info.reserved_count++] = {
        start & ~(kPageSize - 1), (start + size + kPageSize - 1) & ~(kPageSize - 1)};
}

void set_command_line(PhysAddr address) {
    if (address == 0) return;
    boot_info.command_line = phys_to_virt<char>(address);
    size_t length = 0;
    while (boot_info.command_line[length]) length++;
    reserve(address, length + 1);
}

void read_pvh(PhysAddr address) {
    auto* info = phys_to_virt<PvhStartInfo>(address);
    if (info->magic != kPvhMagic) panic("PVH start information has a wrong magic number");
    if (info->version < 1) panic("PVH start information without a memory map (version 0)");
    auto* entries = phys_to_virt<PvhMemoryEntry>(info->memory_map);
    for (uint32_t i = 0; i < info->memory_map_entries; i++) {
        if (entries[i].type == kTypeRam) add_usable(entries[i].address, entries[i].size);
    }
    if (info->module_count > 0) {
        auto* module = phys_to_virt<PvhModule>(info->module_list);
        boot_info.module = {module->address, module->address + module->size};
    }
    boot_info.acpi_rsdp = info->rsdp;
    set_command_line(info->command_line);
}

void read_linux64(PhysAddr address) {
    auto* zero_page = phys_to_virt<uint8_t>(address);
    auto field32 = [&](size_t offset) {
        return static_cast<uint64_t>(*reinterpret_cast<uint32_t*>(zero_page + offset));
    };
    auto* table = reinterpret_cast<E820Entry*>(zero_page + kZeroE820Table);
    for (unsigned i = 0; i < zero_page[kZeroE820Entries]; i++) {
        if (table[i].type == kTypeRam) add_usable(table[i].address, table[i].size);
    }
    uint64_t image = field32(kZeroImage) | field32(kZeroExtImage) << 32;
    uint64_t size = field32(kZeroImageSize) | field32(kZeroExtImageSize) << 32;
    if (size) boot_info.module = {image, image + size};
    boot_info.acpi_rsdp = field32(kZeroRsdp) | field32(kZeroRsdp + 4) << 32;
    set_command_line(field32(kZeroCommandLine) | field32(kZeroExtCommandLine) << 32);
}

// QEMU puts the module below the end of memory, over whatever is there.
void check_module(const MemoryRange& image) {
    const MemoryRange& module = boot_info.module;
    if (module.start == module.end) return;
    if (module.start > module.end) refuse_machine("the boot module's size is wrong");
    if (module.end > 0xffffffff) refuse_machine("the boot module lies above 4 GiB");
    if (module.start < image.end && module.end > image.start) {
        refuse_machine("the boot module overlaps the kernel: give a larger -m");
    }
    for (size_t i = 0; i < boot_info.usable_count; i++) {
        const MemoryRange& usable = boot_info.usable[i];
        if (module.start >= usable.start && module.end <= usable.end) return;
    }
    refuse_machine("the boot module lies outside usable memory: give a larger -m");
}

}  // namespace

void read_boot_info(uint64_t boot_word) {
    MemoryRange image = {reinterpret_cast<uint64_t>(core_start) - KERNEL_BASE,
                         reinterpret_cast<uint64_t>(kernel_image_end) - KERNEL_BASE};
    reserve(image.start, image.end - image.start);
    PhysAddr address = boot_word & ~(1ul << 63);
    if (boot_word >> 63) {
        read_linux64(address);
    } else {
        read_pvh(address);
    }
    if (boot_info.usable_count == 0) refuse_machine("the boot information tells of no memory");
    check_module(image);
    reserve(boot_info.module.start, boot_info.module.end - boot_info.module.start);
}

}  // namespace coracle
