// PCI configuration space, through ports 0xcf8 and 0xcfc (PCI Local Bus 3.0, 3.2.2.3.2). Each
// access is a gate, so this is for boot alone.
#pragma once

#include <cstdint>

#include "kernel-min/memory/frames.h"

namespace coracle::pci {

struct Function {
    uint8_t bus, device, function;

    uint32_t read(uint8_t offset, unsigned bytes = 4) const;
    void write(uint8_t offset, unsigned bytes, uint32_t value) const;

    uint16_t vendor() const { return read(0x00, 2); }
    uint16_t device_id() const { return read(0x02, 2); }
    // Lets the device decode memory and reach memory by itself.
    void enable_memory_and_bus_master() const;

    // The offset of the next capability `id` behind `previous` (0: the first); 0 if there is none.
    uint8_t find_capability(uint8_t id, uint8_t previous = 0) const;
    // Where a memory BAR lies: where the firmware put it, else in the hole below the I/O APIC. 0
    // for a port BAR, or when the hole is full.
    PhysAddr memory_bar(unsigned index) const;

  private:
    PhysAddr place_memory_bar(uint8_t offset, bool is_64_bit) const;
};

constexpr uint8_t kCapabilityVendor = 0x09, kCapabilityMsix = 0x11;

// Calls visit(Function) for each function of the machine that answers, bus by bus.
template <typename Visit>
void for_each_function(Visit visit) {
    constexpr unsigned kHeaderType = 0x0e, kMultiFunction = 0x80, kBridge = 1,
                       kSubordinateBus = 0x1a;
    unsigned last_bus = 0;
    for (unsigned bus = 0; bus <= last_bus; bus++) {
        for (unsigned device = 0; device < 32; device++) {
            unsigned functions = 1;
            for (unsigned function = 0; function < functions; function++) {
                Function found{static_cast<uint8_t>(bus), static_cast<uint8_t>(device),
                               static_cast<uint8_t>(function)};
                if (found.vendor() == 0xffff) continue;
                unsigned header = found.read(kHeaderType, 1);
                if (header & kMultiFunction) functions = 8;
                if ((header & ~kMultiFunction) == kBridge) {
                    unsigned behind = found.read(kSubordinateBus, 1);
                    if (behind > last_bus) last_bus = behind;
                }
                visit(found);
            }
        }
    }
}

// Whether there is a PCI host bridge at all.
bool is_present();

}  // namespace coracle::pci
