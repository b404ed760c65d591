// May these credentials do that to an inode? (man 7 path_resolution, "Permissions";
// man 7 capabilities.)
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"
#include "libposix/fs/inode.h"
#include "libposix/process/credentials.h"

namespace coracle {

constexpr uint32_t kMayExecute = 1, kMayWrite = 2, kMayRead = 4;

// EACCES unless all of `wanted` is allowed, with fsuid, fsgid and capabilities.
Result<void> check_permission(const Inode& inode, uint32_t wanted, const Credentials& who);

// Whether the caller owns the inode or has CAP_FOWNER.
bool is_owner_or_capable(const Inode& inode, const Credentials& who);

// Removing or renaming `victim` out of `directory`: EACCES; EPERM in a sticky directory.
Result<void> check_removal(const Inode& directory, const Inode& victim, const Credentials& who);

}  // namespace coracle
