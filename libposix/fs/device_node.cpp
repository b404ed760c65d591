#include "libposix/fs/device_node.h"

#include "kernel-min/memory/heap.h"
#include "libposix/fs/dev_tree.h"

namespace coracle {
namespace {

struct Driver {
    uint64_t device;
    OpenDevice open;
    uint32_t permissions;
    std::string_view name;
    Driver* next;
};
Driver* drivers;
Inode* dev_root;  // once /dev is mounted; the mount keeps it

Result<void> make_node(const Driver& driver) {
    if (driver.name.empty()) return {};
    Inode* directory = dev_root;
    RefPtr<Inode> inner;
    std::string_view name = driver.name;
    if (size_t slash = name.find('/'); slash != name.npos) {
        inner = TRY(directory->lookup(name.substr(0, slash)));
        directory = inner.get();
        name.remove_prefix(slash + 1);
    }
    NewInode what = {.mode = S_IFCHR | driver.permissions, .device = driver.device};
    TRY(directory->create(name, what));
    return {};
}

}  // namespace

Result<void> register_char_device(std::string_view name, uint32_t permissions, uint32_t major,
                                  uint32_t minor, OpenDevice open) {
    uint64_t device = make_device(major, minor);
    for (const Driver* driver = drivers; driver; driver = driver->next) {
        if (driver->device == device) return Error(EEXIST);
    }
    auto driver = TRY(make_unique_object<Driver>(Driver{device, open, permissions, name, drivers}));
    drivers = driver.release();
    if (dev_root) return make_node(*drivers);
    return {};
}

Result<void> make_device_nodes(Inode& root) {
    dev_root = &root;
    for (const Driver* driver = drivers; driver; driver = driver->next) TRY(make_node(*driver));
    return {};
}

Result<RefPtr<File>> open_char_device(const Path& path, const RefPtr<Inode>& inode,
                                      uint32_t flags) {
    for (const Driver* driver = drivers; driver; driver = driver->next) {
        if (driver->device == inode->device) return driver->open(path, inode, flags);
    }
    return Error(ENXIO);
}

}  // namespace coracle
