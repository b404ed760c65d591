// The machine's processors: from ACPI's MADT, or from QEMU's configuration device where firmware
// made no tables.
#pragma once

#include <cstdint>

namespace coracle {

// Writes the local APIC ids of up to `capacity` usable processors and tells how many there are; 0
// if nothing tells.
unsigned find_processors(uint32_t* apic_ids, unsigned capacity);

}  // namespace coracle
