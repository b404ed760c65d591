// Mappings follow their file: what it loses, they lose.
#pragma once

#include <cstdint>

namespace coracle {

class Inode;

// The file was cut to `size`: an access beyond it, also to a private copy, faults from now on
// (SIGBUS, man 2 mmap).
void unmap_truncated_pages(const Inode& inode, uint64_t size);

// A hole is about to be punched: mappings read zeros afterwards, but for private copies.
void unmap_hole(const Inode& inode, uint64_t offset, uint64_t length);

}  // namespace coracle
