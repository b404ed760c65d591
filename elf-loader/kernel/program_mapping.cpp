#include "elf-loader/kernel/program_mapping.h"

#include <sys/mman.h>

#include "kernel-min/lib/random.h"
#include "kernel-min/lib/user_copy.h"

namespace coracle {

namespace {

int protection(const ElfImage::Segment& segment) {
    return (segment.readable ? PROT_READ : 0) | (segment.writable ? PROT_WRITE : 0) |
           (segment.executable ? PROT_EXEC : 0);
}

// File pages, then zero pages up to the end of memory. What lies behind the file's bytes in their
// last page belongs to .bss too.
Result<void> map_segment(AddressSpace& address_space, const ElfImage::Segment& segment,
                         const RefPtr<MemoryObject>& object, uint64_t bias) {
    uint64_t start = page_down(segment.address) + bias;
    uint64_t file_end = segment.address + bias + segment.file_size;
    uint64_t memory_end = page_up(segment.address + bias + segment.memory_size);
    int prot = protection(segment);
    uint64_t zero_start = start;
    if (segment.file_size > 0) {
        uint64_t offset = page_down(segment.file_offset);
        TRY(address_space.map({.address = start,
                               .size = page_up(file_end) - start,
                               .protection = prot,
                               .flags = MAP_PRIVATE | MAP_FIXED,
                               .object = object,
                               .offset = offset}));
        zero_start = page_up(file_end);
        uint64_t tail = zero_start - file_end;
        if (segment.memory_size > segment.file_size && tail > 0 && segment.writable &&
            !clear_user(file_end, tail)) {
            return Error(EFAULT);
        }
    }
    if (memory_end > zero_start) {
        TRY(address_space.map({.address = zero_start,
                               .size = memory_end - zero_start,
                               .protection = prot,
                               .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}));
    }
    return {};
}

// Holds the whole range until the segments replace it, so that nothing comes between them.
Result<uint64_t> reserve(AddressSpace& address_space, const ElfImage& image, uint64_t hint) {
    uint64_t size = image.high() - image.low();
    if (!image.is_position_independent()) {
        return address_space.map({.address = image.low(),
                                  .size = size,
                                  .protection = PROT_NONE,
                                  .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE});
    }
    uint64_t slack = image.alignment() > kPageSize ? image.alignment() : 0;
    uint64_t base = TRY(address_space.map({.address = hint,
                                           .size = size + slack,
                                           .protection = PROT_NONE,
                                           .flags = MAP_PRIVATE | MAP_ANONYMOUS}));
    if (slack == 0) return base;
    uint64_t aligned = (base + slack - 1) & ~(image.alignment() - 1);
    if (aligned > base) TRY(address_space.unmap(base, aligned - base));
    uint64_t surplus = base + slack - aligned;
    if (surplus > 0) TRY(address_space.unmap(aligned + size, surplus));
    return aligned;
}

}  // namespace

Result<MappedImage> map_image(AddressSpace& address_space, const ElfImage& image,
                              const RefPtr<MemoryObject>& object, uint64_t hint) {
    uint64_t base = TRY(reserve(address_space, image, hint));
    MappedImage mapped = {};
    mapped.bias = base - image.low();
    mapped.low = base;
    mapped.high = base + (image.high() - image.low());
    for (size_t i = 0; i < image.segment_count(); i++) {
        const ElfImage::Segment& segment = image.segment(i);
        TRY(map_segment(address_space, segment, object, mapped.bias));
        uint64_t start = segment.address + mapped.bias;
        if (segment.executable && mapped.code_start == 0) {
            mapped.code_start = start;
            mapped.code_end = start + segment.file_size;
        }
        if (segment.writable) {
            if (mapped.data_start == 0) mapped.data_start = start;
            mapped.data_end = start + segment.file_size;
        }
        mapped.break_start = start + segment.memory_size;
        // The gap to the next segment was only reserved.
        if (i + 1 < image.segment_count()) {
            uint64_t end = page_up(start + segment.memory_size);
            uint64_t next = page_down(image.segment(i + 1).address) + mapped.bias;
            if (next > end) TRY(address_space.unmap(end, next - end));
        }
    }
    return mapped;
}

}  // namespace coracle
