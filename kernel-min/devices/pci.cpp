#include "kernel-min/devices/pci.h"

#include "kernel-min/core/gates.h"

namespace coracle::pci {

namespace {

constexpr uint16_t kAddressPort = 0xcf8, kDataPort = 0xcfc;

uint16_t select(const Function& function, uint8_t offset) {
    core::port_out(kAddressPort, 4,
                   1u << 31 | function.bus << 16 | function.device << 11 | function.function << 8 |
                       (offset & 0xfc));
    return kDataPort + (offset & 3);
}

}  // namespace

uint32_t Function::read(uint8_t offset, unsigned bytes) const {
    return core::port_in(select(*this, offset), bytes);
}

void Function::write(uint8_t offset, unsigned bytes, uint32_t value) const {
    core::port_out(select(*this, offset), bytes, value);
}

void Function::enable_memory_and_bus_master() const {
    constexpr uint8_t kCommand = 0x04;
    constexpr uint32_t kMemory = 2, kBusMaster = 4;
    write(kCommand, 2, read(kCommand, 2) | kMemory | kBusMaster);
}

uint8_t Function::find_capability(uint8_t id, uint8_t previous) const {
    constexpr uint8_t kStatus = 0x06, kCapabilities = 0x34;
    constexpr uint32_t kHasCapabilities = 0x10;
    if (!previous && !(read(kStatus, 2) & kHasCapabilities)) return 0;
    uint8_t at = previous ? read(previous + 1, 1) : read(kCapabilities, 1);
    // A list cannot be longer than the space it lies in.
    for (int i = 0; at >= 0x40 && i < 48; i++) {
        at &= 0xfc;
        uint32_t head = read(at, 2);
        if ((head & 0xff) == id) return at;
        at = head >> 8;
    }
    return 0;
}

PhysAddr Function::memory_bar(unsigned index) const {
    constexpr uint32_t kPort = 1, kType = 6, k64Bit = 4;
    uint8_t offset = 0x10 + 4 * index;
    uint32_t low = read(offset);
    if (low & kPort) return 0;
    bool is_64_bit = (low & kType) == k64Bit && index < 5;
    PhysAddr address = low & ~0xfu;
    if (is_64_bit) address |= static_cast<PhysAddr>(read(offset + 4)) << 32;
    return address ? address : place_memory_bar(offset, is_64_bit);
}

// Small firmware (qboot) leaves this to the kernel.
PhysAddr Function::place_memory_bar(uint8_t offset, bool is_64_bit) const {
    // Above all low memory that QEMU's machines give, below the I/O APIC and firmware.
    constexpr PhysAddr kHoleStart = 0xe0000000, kHoleEnd = 0xfe000000;
    static PhysAddr next = kHoleStart;
    write(offset, 4, 0xffffffff);
    uint64_t size = uint32_t(~(read(offset) & ~0xfu) + 1);
    PhysAddr address = (next + size - 1) & ~(size - 1);
    if (size == 0 || address + size > kHoleEnd) address = 0;
    write(offset, 4, static_cast<uint32_t>(address));
    if (is_64_bit) write(offset + 4, 4, 0);
    if (address) next = address + size;
    return address;
}

bool is_present() {
    // The address register keeps what was written, which a port without a device does not.
    core::port_out(kAddressPort, 4, 1u << 31);
    return core::port_in(kAddressPort, 4) == 1u << 31;
}

}  // namespace coracle::pci
