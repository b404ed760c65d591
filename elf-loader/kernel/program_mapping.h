// Maps the segments of one ELF file into an address space.
#pragma once

#include "elf-loader/kernel/elf_image.h"
#include "libposix/memory/address_space.h"

namespace coracle {

struct MappedImage {
    uint64_t bias;  // what to add to an address as linked
    uint64_t low, high;
    uint64_t code_start, code_end, data_start, data_end;
    uint64_t break_start;  // end of the last segment's memory
};

// `object` holds the file's bytes. A position-independent image goes near `hint` (0: where mmap
// would put it); another one to its own addresses. The address space must be the CPU's: the end
// of a segment's last file page is cleared in place. Errors: ENOMEM, EEXIST.
Result<MappedImage> map_image(AddressSpace& address_space, const ElfImage& image,
                              const RefPtr<MemoryObject>& object, uint64_t hint);

}  // namespace coracle
