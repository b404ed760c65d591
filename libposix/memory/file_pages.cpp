#include "libposix/memory/file_pages.h"

#include "libposix/fs/inode.h"
#include "libposix/memory/address_space.h"

namespace coracle {

namespace {

void unmap_pages(const Inode& inode, uint64_t first, uint64_t end, bool keep_copies) {
    if (inode.mapping_count == 0) return;
    for (AddressSpace& space : AddressSpace::all()) {
        // Objects of files map no huge pages, so there is nothing to split and nothing to fail.
        (void)space.drop_object_pages(&inode, first, end, keep_copies);
    }
}

}  // namespace

void unmap_truncated_pages(const Inode& inode, uint64_t size) {
    unmap_pages(inode, page_up(size) / kPageSize, UINT64_MAX, false);
}

void unmap_hole(const Inode& inode, uint64_t offset, uint64_t length) {
    uint64_t first = page_up(offset) / kPageSize, end = (offset + length) / kPageSize;
    if (first < end) unmap_pages(inode, first, end, true);
}

}  // namespace coracle
