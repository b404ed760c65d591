#include "kernel-min/boot/processors.h"

#include <cstring>

#include "kernel-min/boot/boot_info.h"
#include "kernel-min/core/gates.h"

namespace coracle {
namespace {

// ACPI 6.4, 5.2.5.3.
struct [[gnu::packed]] RootPointer {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
};
constexpr size_t kFirstRootPointerSize = 20;

// ACPI 6.4, 5.2.6.
struct [[gnu::packed]] TableHeader {
    char signature[4];
    uint32_t length;
    uint8_t revision, checksum;
    char oem[6], oem_table[8];
    uint32_t oem_revision, creator, creator_revision;
};

// ACPI 6.4, 5.2.12.2: type 0 in the MADT.
struct [[gnu::packed]] LocalApicEntry {
    uint8_t type, length, processor_uid, apic_id;
    uint32_t flags;
};
constexpr uint8_t kLocalApicType = 0;
constexpr uint32_t kIsEnabled = 1;
constexpr size_t kMadtEntries = sizeof(TableHeader) + 8;

constexpr PhysAddr kDirectMapEnd = 0x100000000;  // what is mapped from the start

bool sums_to_zero(const void* start, size_t size) {
    uint8_t sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum = static_cast<uint8_t>(sum + static_cast<const uint8_t*>(start)[i]);
    }
    return sum == 0;
}

const RootPointer* root_pointer_at(PhysAddr address) {
    const auto* root = phys_to_virt<RootPointer>(address);
    if (memcmp(root->signature, "RSD PTR ", 8) != 0) return nullptr;
    return sums_to_zero(root, kFirstRootPointerSize) ? root : nullptr;
}

// ACPI 6.4, 5.2.5.1: told at boot, or in the firmware's area.
const RootPointer* find_root_pointer() {
    if (boot_info.acpi_rsdp && boot_info.acpi_rsdp < kDirectMapEnd) {
        return root_pointer_at(boot_info.acpi_rsdp);
    }
    for (PhysAddr address = 0xe0000; address < 0x100000; address += 16) {
        if (const RootPointer* root = root_pointer_at(address)) return root;
    }
    return nullptr;
}

const TableHeader* table_at(PhysAddr address) {
    if (address == 0 || address >= kDirectMapEnd - sizeof(TableHeader)) return nullptr;
    const auto* table = phys_to_virt<TableHeader>(address);
    if (table->length < sizeof(TableHeader) || table->length > kDirectMapEnd - address) {
        return nullptr;
    }
    return table;
}

const TableHeader* find_madt() {
    const RootPointer* root = find_root_pointer();
    if (!root) return nullptr;
    const bool is_extended = root->revision >= 2 && root->xsdt != 0;
    const TableHeader* list = table_at(is_extended ? root->xsdt : root->rsdt);
    if (!list) return nullptr;
    const size_t entry_size = is_extended ? 8 : 4;
    const auto* bytes = reinterpret_cast<const uint8_t*>(list);
    for (size_t at = sizeof(TableHeader); at + entry_size <= list->length; at += entry_size) {
        uint64_t address = 0;
        memcpy(&address, bytes + at, entry_size);
        const TableHeader* table = table_at(address);
        if (table && memcmp(table->signature, "APIC", 4) == 0) return table;
    }
    return nullptr;
}

unsigned read_madt(const TableHeader& madt, uint32_t* apic_ids, unsigned capacity) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&madt);
    unsigned count = 0;
    for (size_t at = kMadtEntries; at + 2 <= madt.length && bytes[at + 1] >= 2;
         at += bytes[at + 1]) {
        if (bytes[at] != kLocalApicType || at + sizeof(LocalApicEntry) > madt.length) continue;
        LocalApicEntry entry;
        memcpy(&entry, bytes + at, sizeof(entry));
        if ((entry.flags & kIsEnabled) && count < capacity) apic_ids[count++] = entry.apic_id;
    }
    return count;
}

// QEMU's docs/specs/fw_cfg: a selector and a data port. APIC ids count from 0.
unsigned read_qemu_configuration(uint32_t* apic_ids, unsigned capacity) {
    constexpr uint16_t kSelector = 0x510, kData = 0x511, kSignature = 0, kProcessorCount = 5;
    core::port_out(kSelector, 2, kSignature);
    for (const char expected : {'Q', 'E', 'M', 'U'}) {
        if (core::port_in(kData, 1) != static_cast<uint8_t>(expected)) return 0;
    }
    core::port_out(kSelector, 2, kProcessorCount);
    unsigned count = core::port_in(kData, 1);
    count |= core::port_in(kData, 1) << 8;
    if (count > capacity) count = capacity;
    for (unsigned i = 0; i < count; i++) apic_ids[i] = i;
    return count;
}

}  // namespace

unsigned find_processors(uint32_t* apic_ids, unsigned capacity) {
    if (const TableHeader* madt = find_madt()) return read_madt(*madt, apic_ids, capacity);
    return read_qemu_configuration(apic_ids, capacity);
}

}  // namespace coracle
