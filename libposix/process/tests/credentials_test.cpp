// Linux's rules for changing ids: man 2 setuid, setreuid, setresuid, setfsuid; capabilities(7).
#include "libposix/process/credentials.h"

#include <gtest/gtest.h>

#include "libposix/process/set_ids.h"

namespace coracle {
namespace {

Credentials user(uint32_t uid, uint32_t euid, uint32_t suid) {
    Credentials credentials = Credentials::for_identity(euid, 100);
    credentials.uid = uid;
    credentials.suid = suid;
    return credentials;
}

TEST(SetIds, RootMayBecomeAnybodyAndLosesItsCapabilities) {
    Credentials root = Credentials::for_identity(0, 0);
    EXPECT_EQ(kRootCapabilities, root.effective);
    ASSERT_TRUE(set_uid(root, 1000).ok());
    EXPECT_EQ(1000u, root.uid);
    EXPECT_EQ(1000u, root.euid);
    EXPECT_EQ(1000u, root.suid);
    EXPECT_EQ(1000u, root.fsuid);
    EXPECT_EQ(0u, root.permitted);
    EXPECT_EQ(0u, root.effective);
    EXPECT_EQ(EPERM, set_uid(root, 0).error_code());
}

TEST(SetIds, TheEffectiveIdAloneSwitchesTheEffectiveSet) {
    Credentials root = Credentials::for_identity(0, 0);
    ASSERT_TRUE(set_reuid(root, kNoId, 1000).ok());
    EXPECT_EQ(0u, root.effective);
    EXPECT_EQ(kRootCapabilities, root.permitted);
    EXPECT_EQ(1000u, root.suid) << "setreuid moves the saved id too";
    ASSERT_TRUE(set_reuid(root, kNoId, 0).ok()) << "the real id is still 0";
    EXPECT_EQ(kRootCapabilities, root.effective);
}

TEST(SetIds, KeepCapabilities) {
    Credentials root = Credentials::for_identity(0, 0);
    root.keep_capabilities = true;
    ASSERT_TRUE(set_resuid(root, 5, 5, 5).ok());
    EXPECT_EQ(kRootCapabilities, root.permitted);
    EXPECT_EQ(0u, root.effective);
}

TEST(SetIds, OrdinaryUsersMoveAmongTheirOwnIds) {
    Credentials credentials = user(10, 20, 30);
    EXPECT_EQ(EPERM, set_uid(credentials, 20).error_code()) << "not the effective id";
    ASSERT_TRUE(set_uid(credentials, 30).ok());
    EXPECT_EQ(10u, credentials.uid);
    EXPECT_EQ(30u, credentials.euid);
    EXPECT_EQ(30u, credentials.fsuid);

    credentials = user(10, 20, 30);
    EXPECT_EQ(EPERM, set_reuid(credentials, 30, kNoId).error_code());
    ASSERT_TRUE(set_reuid(credentials, 20, 10).ok());
    EXPECT_EQ(20u, credentials.uid);
    EXPECT_EQ(10u, credentials.euid);
    EXPECT_EQ(10u, credentials.suid);

    credentials = user(10, 20, 30);
    EXPECT_EQ(EPERM, set_resuid(credentials, 10, 20, 40).error_code());
    EXPECT_EQ(30u, credentials.suid) << "nothing changes on an error";
    ASSERT_TRUE(set_resuid(credentials, 30, 10, 20).ok());
    EXPECT_EQ(30u, credentials.uid);
    EXPECT_EQ(10u, credentials.euid);
    EXPECT_EQ(20u, credentials.suid);
}

TEST(SetIds, InvalidIds) {
    Credentials root = Credentials::for_identity(0, 0);
    EXPECT_EQ(EINVAL, set_uid(root, kNoId).error_code());
    EXPECT_EQ(EINVAL, set_gid(root, kNoId).error_code());
    ASSERT_TRUE(set_resuid(root, kNoId, kNoId, kNoId).ok());
    EXPECT_EQ(0u, root.euid);
}

TEST(SetIds, Groups) {
    Credentials credentials = user(10, 20, 30);
    credentials.gid = 1;
    credentials.egid = 2;
    credentials.sgid = 3;
    EXPECT_EQ(EPERM, set_gid(credentials, 2).error_code());
    ASSERT_TRUE(set_gid(credentials, 3).ok());
    EXPECT_EQ(3u, credentials.egid);
    EXPECT_EQ(3u, credentials.fsgid);
    EXPECT_EQ(EPERM, set_resgid(credentials, kNoId, 99, kNoId).error_code());
    ASSERT_TRUE(set_regid(credentials, kNoId, 1).ok());
    EXPECT_EQ(1u, credentials.egid);
}

TEST(SetIds, FileSystemIdTakesItsCapabilitiesAlong) {
    Credentials root = Credentials::for_identity(0, 0);
    EXPECT_EQ(0u, set_fsuid(root, 1000));
    EXPECT_EQ(1000u, root.fsuid);
    EXPECT_FALSE(root.has_capability(kCapDacOverride));
    EXPECT_TRUE(root.has_capability(kCapSetuid));
    EXPECT_EQ(1000u, set_fsuid(root, 0));
    EXPECT_TRUE(root.has_capability(kCapDacOverride));

    Credentials credentials = user(10, 20, 30);
    EXPECT_EQ(20u, set_fsuid(credentials, 99));
    EXPECT_EQ(20u, credentials.fsuid) << "refused without an error";
    EXPECT_EQ(20u, set_fsuid(credentials, 10));
    EXPECT_EQ(10u, credentials.fsuid);
}

TEST(GroupList, SortsAndFinds) {
    auto list = GroupList::create(4, [](uint32_t* to) -> Result<void> {
        const uint32_t groups[] = {40, 10, 30, 20};
        std::copy(std::begin(groups), std::end(groups), to);
        return {};
    });
    ASSERT_TRUE(list.ok());
    Credentials credentials = Credentials::for_identity(1000, 7);
    credentials.supplementary = list.release_value();
    EXPECT_EQ(10u, credentials.supplementary->groups()[0]);
    for (uint32_t group : {7, 10, 20, 30, 40}) EXPECT_TRUE(credentials.in_group(group)) << group;
    for (uint32_t group : {0, 8, 25, 41}) EXPECT_FALSE(credentials.in_group(group)) << group;
}

TEST(GroupList, ErrorsOfTheSourceComeBack) {
    auto list = GroupList::create(3, [](uint32_t*) -> Result<void> { return Error(EFAULT); });
    EXPECT_EQ(EFAULT, list.error_code());
}

}  // namespace
}  // namespace coracle
