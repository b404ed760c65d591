// /sys, as far as libraries look (Documentation/ABI of Linux).
#pragma once

#include "libposix/fs/inode.h"

namespace coracle {

// The file system and its root directory.
Result<RefPtr<Inode>> make_sysfs();

}  // namespace coracle
