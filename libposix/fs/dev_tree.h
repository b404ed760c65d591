// What is in /dev: a tmpfs with the nodes of all registered devices, and links.
#pragma once

#include "kernel-min/lib/result.h"
#include "libposix/fs/inode.h"

namespace coracle {

// Registers null, zero, full, random and urandom.
Result<void> register_memory_devices();

// Makes the nodes of the registered devices in `root`, and of those that are registered later.
// `root` stays alive.
Result<void> make_device_nodes(Inode& root);

// Fills /dev.
Result<void> fill_dev(Inode& root);

}  // namespace coracle
