// Character devices: what open(2) of a device node opens, and the names in /dev.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "libposix/files/file.h"

namespace coracle {

constexpr uint64_t make_device(uint32_t major, uint32_t minor) {
    return (minor & 0xff) | static_cast<uint64_t>(major & 0xfff) << 8 |
           static_cast<uint64_t>(minor & ~0xffu) << 12 |
           static_cast<uint64_t>(major & ~0xfffu) << 32;
}
constexpr uint32_t device_major(uint64_t device) {
    return (device >> 8 & 0xfff) | (device >> 32 & ~0xfffu);
}
constexpr uint32_t device_minor(uint64_t device) {
    return (device & 0xff) | (device >> 12 & ~0xffu);
}

// Opens the device: returns a File made with `path`, `inode` and `flags`. Errors: ENXIO...
using OpenDevice = Result<RefPtr<File>> (*)(const Path& path, const RefPtr<Inode>& inode,
                                            uint32_t flags);

// From now on a node with this number opens by `open`. If `name` is not empty, the node
// /dev/NAME ("tty", "pts/0") is there too, at once or when /dev is mounted. `permissions` as
// 0666. ENOMEM, EEXIST.
Result<void> register_char_device(std::string_view name, uint32_t permissions, uint32_t major,
                                  uint32_t minor, OpenDevice open);

// ENXIO if nobody registered the number.
Result<RefPtr<File>> open_char_device(const Path& path, const RefPtr<Inode>& inode,
                                      uint32_t flags);

}  // namespace coracle
