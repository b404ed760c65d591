// What Debian's packages tell, and what of them no guest reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/image/package_policy.h"
#include "tools/image/packages.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

TEST(Packages, ParsesDependencies) {
    EXPECT_THAT(parse_depends("libc6 (>= 2.34), debconf (>= 0.5) | debconf-2.0, python3:any"),
                ElementsAre(ElementsAre("libc6"), ElementsAre("debconf", "debconf-2.0"),
                            ElementsAre("python3")));
    EXPECT_THAT(parse_depends(""), IsEmpty());
    EXPECT_THAT(parse_depends(" , a [amd64] ,"), ElementsAre(ElementsAre("a")));
}

constexpr char kStatus[] =
    "Package: tool\nStatus: install ok installed\nArchitecture: amd64\n"
    "Depends: libone (>= 1), virtual-thing | other\nPre-Depends: libc6\n"
    "Description: a tool\n Depends: nothing of the kind\n\n"
    "Package: libone\nStatus: install ok installed\nArchitecture: amd64\nDepends: debconf\n\n"
    "Package: debconf\nStatus: install ok installed\nArchitecture: all\nDepends: perl-base\n\n"
    "Package: perl-base\nEssential: yes\nStatus: install ok installed\nArchitecture: amd64\n\n"
    "Package: provider\nStatus: install ok installed\nArchitecture: amd64\n"
    "Provides: virtual-thing (= 1), more\n\n"
    "Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\n\n"
    "Package: foreign\nStatus: install ok installed\nArchitecture: i386\n";

TEST(Packages, ParsesAStatusFile) {
    auto packages = parse_status(kStatus);
    EXPECT_EQ(packages.size(), 5u);
    EXPECT_TRUE(packages.contains("tool"));
    EXPECT_FALSE(packages.contains("gone"));
    EXPECT_FALSE(packages.contains("foreign"));
    EXPECT_TRUE(packages["perl-base"].essential);
    EXPECT_EQ(packages["tool"].depends.size(), 3u);
}

class PackageTreeTest : public testing::Test {
  protected:
    PackageTreeTest() {
        made_.file("/var/lib/dpkg/status", kStatus);
        made_.file("/var/lib/dpkg/info/tool.list", "/.\n/bin\n/bin/tool\n/usr/share/doc/tool\n");
        made_.file("/var/lib/dpkg/info/libone:amd64.list", "/.\n/usr/lib/libone.so.1\n");
    }
    TemporaryFolder made_;
};

TEST_F(PackageTreeTest, FindsOwnersUnderEitherSpelling) {
    Tree tree(made_.path());
    PackageDatabase database(tree);
    auto owners = database.owners({"/usr/bin/tool", "/lib/libone.so.1", "/usr/bin/other"});
    EXPECT_THAT(owners, UnorderedElementsAre(testing::Pair("/usr/bin/tool", "tool"),
                                             testing::Pair("/lib/libone.so.1", "libone")));
    EXPECT_THAT(database.files("libone"), ElementsAre("/usr/lib/libone.so.1"));
}

TEST_F(PackageTreeTest, MaintainerToolsDoNotDragTheirDependencies) {
    Tree tree(made_.path());
    PackageDatabase database(tree);
    EXPECT_THAT(database.dependencies({"tool"}, is_left_out),
                UnorderedElementsAre("tool", "libone", "provider"));
    EXPECT_THAT(database.dependencies({"debconf"}, is_left_out),
                UnorderedElementsAre("debconf", "perl-base"));
}

TEST(PackagePolicy, LeavesOutWhatNoProgramReads) {
    EXPECT_FALSE(is_wanted_file("/usr/share/doc/x/README", false, true));
    EXPECT_FALSE(is_wanted_file("/usr/share/man", false, true));
    EXPECT_FALSE(is_wanted_file("/usr/share/locale/de/LC_MESSAGES/x.mo", false, false));
    EXPECT_TRUE(is_wanted_file("/usr/share/locale/de/LC_MESSAGES/x.mo", false, true));
    EXPECT_TRUE(is_wanted_file("/usr/share/mandy/x", false, false));
    EXPECT_FALSE(is_wanted_file("/usr/bin/sort", true, false));
    EXPECT_TRUE(is_wanted_file("/usr/bin/sort", false, false));
    EXPECT_FALSE(is_wanted_file("/etc/shadow", false, false));
    EXPECT_FALSE(is_wanted_file("/etc/ssl/private/key.pem", false, false));
    EXPECT_FALSE(is_wanted_file("/etc/ssh/ssh_host_rsa_key", false, false));
}

}  // namespace
}  // namespace coracle
