// EXPECT_ERRNO(ENOENT, open(...)): the call fails, with this errno.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

inline bool is_failure(long result) {
    return result == -1;
}
inline bool is_failure(const void* result) {
    return result == MAP_FAILED;
}

#define EXPECT_ERRNO(expected, call)                                              \
    do {                                                                          \
        errno = 0;                                                                \
        bool errno_failed = is_failure(call);                                     \
        int errno_seen = errno;                                                   \
        EXPECT_TRUE(errno_failed) << #call << " did not fail";                    \
        EXPECT_EQ(errno_seen, expected) << #call << ": " << strerror(errno_seen); \
    } while (0)
