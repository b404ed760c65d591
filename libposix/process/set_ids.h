// The rules by which a process changes its ids (man 2 setuid, setreuid, setresuid, setfsuid; man 7
// capabilities, "Effect of user ID changes on capabilities"). Pure: each turns old credentials
// into new ones.
#pragma once

#include "libposix/process/credentials.h"

namespace coracle {

constexpr uint32_t kNoId = ~uint32_t{0};  // "leave it as it is"

// EPERM, EINVAL. `credentials` is unchanged on an error.
Result<void> set_uid(Credentials& credentials, uint32_t uid);
Result<void> set_reuid(Credentials& credentials, uint32_t ruid, uint32_t euid);
Result<void> set_resuid(Credentials& credentials, uint32_t ruid, uint32_t euid, uint32_t suid);
Result<void> set_gid(Credentials& credentials, uint32_t gid);
Result<void> set_regid(Credentials& credentials, uint32_t rgid, uint32_t egid);
Result<void> set_resgid(Credentials& credentials, uint32_t rgid, uint32_t egid, uint32_t sgid);

// Both answer the old id, whether they may change it or not.
uint32_t set_fsuid(Credentials& credentials, uint32_t uid);
uint32_t set_fsgid(Credentials& credentials, uint32_t gid);

}  // namespace coracle
