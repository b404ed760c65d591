#include "libposix/process/resource_limits.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

TEST(ResourceLimits, DefaultsAreConsistent) {
    ResourceLimits limits;
    for (unsigned i = 0; i < kResourceCount; i++) {
        const ResourceLimit& limit = limits[static_cast<Resource>(i)];
        EXPECT_LE(limit.soft, limit.hard) << i;
    }
    EXPECT_EQ(8u << 20, limits.soft(Resource::kStack));
    EXPECT_EQ(1024u, limits.soft(Resource::kOpenFiles));
    EXPECT_EQ(0u, limits.soft(Resource::kCore));
}

TEST(ResourceLimits, SoftLimitMovesFreelyBelowTheHardOne) {
    ResourceLimits limits;
    ASSERT_TRUE(limits.set(Resource::kOpenFiles, {1000, 2000}, false).ok());
    ASSERT_TRUE(limits.set(Resource::kOpenFiles, {2000, 2000}, false).ok());
    EXPECT_EQ(EINVAL, limits.set(Resource::kOpenFiles, {2001, 2000}, true).error_code());
    EXPECT_EQ(2000u, limits.soft(Resource::kOpenFiles));
}

TEST(ResourceLimits, OnlyThePrivilegedRaiseTheHardOne) {
    ResourceLimits limits;
    ASSERT_TRUE(limits.set(Resource::kData, {10, 10}, false).ok());
    EXPECT_EQ(EPERM, limits.set(Resource::kData, {10, 11}, false).error_code());
    EXPECT_TRUE(limits.set(Resource::kData, {10, kUnlimited}, true).ok());
}

TEST(ResourceLimits, NobodyOpensMoreFilesThanTheSystemHas) {
    ResourceLimits limits;
    EXPECT_EQ(EPERM, limits.set(Resource::kOpenFiles, {5, 1048577}, true).error_code());
    EXPECT_TRUE(limits.set(Resource::kOpenFiles, {5, 1048576}, true).ok());
}

}  // namespace
}  // namespace coracle
