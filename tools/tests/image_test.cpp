// Programs, what goes into their root images, and the images themselves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tools/image/closure.h"
#include "tools/image/erofs_image.h"
#include "tools/image/image_cache.h"
#include "tools/image/package_policy.h"
#include "tools/image/program.h"
#include "tools/support/error.h"
#include "tools/tests/made_elf.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class ProgramTest : public testing::Test {
  protected:
    ProgramTest() {
        made_.file("/bin/tool", MadeElf().bytes(), 0755);
        made_.file("/bin/plain", "words", 0755);
        made_.file("/bin/data", MadeElf().bytes(), 0644);
        made_.file("/bin/script", "#! /bin/tool -a b \nrest", 0755);
        made_.file("/bin/nested", "#!/bin/script\n", 0755);
        made_.file("/bin/lost", "#!/bin/nothing\n", 0755);
        made_.file("/bin/by-env", "#!/usr/bin/env tool\n", 0755);
        made_.file("/bin/self", "#!/bin/self\n", 0755);
        MadeElf arm;
        arm.machine = EM_AARCH64;
        made_.file("/bin/arm", arm.bytes(), 0755);
    }
    Program find(const std::string& name) {
        return find_program(Tree(made_.path()), name, "/bin", "/none:/bin");
    }
    // "STATUS: message" of the error.
    std::string error(const std::string& name) {
        try {
            find(name);
        } catch (const CommandError& error) {
            return std::to_string(error.exit_status()) + ": " + error.what();
        }
        return "no error";
    }
    TemporaryFolder made_;
};

TEST_F(ProgramTest, ByNameAndByPath) {
    EXPECT_EQ(find("tool").path, "/bin/tool");
    EXPECT_THAT(find("tool").arguments, ElementsAre("tool"));
    EXPECT_EQ(find("./tool").path, "/bin/tool");
    EXPECT_EQ(find("../bin/tool").path, "/bin/tool");
}

TEST_F(ProgramTest, Scripts) {
    EXPECT_EQ(find("script").path, "/bin/tool");
    EXPECT_EQ(find("script").script, "/bin/script");
    EXPECT_THAT(find("script").arguments, ElementsAre("/bin/tool", "-a b", "/bin/script"));
    EXPECT_THAT(find("nested").arguments,
                ElementsAre("/bin/tool", "-a b", "/bin/script", "/bin/nested"));
    EXPECT_EQ(find("by-env").path, "/bin/tool");
    EXPECT_THAT(find("by-env").arguments, ElementsAre("/bin/tool", "/bin/by-env"));
}

TEST_F(ProgramTest, Errors) {
    EXPECT_THAT(error("none"), HasSubstr("127: none: not found"));
    EXPECT_THAT(error("/x/y"), HasSubstr("127: /x/y: not found"));
    EXPECT_THAT(error("/bin"), HasSubstr("126: /bin: is a folder"));
    EXPECT_THAT(error("data"), HasSubstr("126: /bin/data: is not executable"));
    EXPECT_THAT(error("plain"), HasSubstr("126: /bin/plain: is neither"));
    EXPECT_THAT(error("arm"), HasSubstr("126: /bin/arm: is a program for arm64"));
    EXPECT_THAT(error("lost"), HasSubstr("127: /bin/lost: its interpreter /bin/nothing"));
    EXPECT_THAT(error("self"), HasSubstr("126: "));
}

TEST(ManifestTest, HoldsLinksAndParentsOfWhatIsAdded) {
    TemporaryFolder made;
    made.file("/usr/lib/a/real", "content");
    made.link("/lib", "usr/lib");
    made.link("/usr/lib/a/name", "real");
    Manifest manifest;
    EXPECT_EQ(manifest.add(Tree(made.path()), "/lib/a/name"), "/usr/lib/a/real");
    std::vector<std::string> paths;
    for (const auto& [path, entry] : manifest.entries()) paths.push_back(path);
    EXPECT_THAT(paths, ElementsAre("/lib", "/usr", "/usr/lib", "/usr/lib/a", "/usr/lib/a/name",
                                   "/usr/lib/a/real"));
    EXPECT_EQ(manifest.resolve("/lib/new"), "/usr/lib/new");
    EXPECT_EQ(manifest.add(Tree(made.path()), "/none"), "");
}

TEST(ManifestTest, HashChangesWithEverything) {
    auto hash = [](const std::string& path, const std::string& content, mode_t mode) {
        Manifest manifest;
        manifest.add_made_file(path, content, mode);
        return manifest.hash();
    };
    EXPECT_EQ(hash("/a", "x", 0644), hash("/a", "x", 0644));
    EXPECT_NE(hash("/a", "x", 0644), hash("/b", "x", 0644));
    EXPECT_NE(hash("/a", "x", 0644), hash("/a", "y", 0644));
    EXPECT_NE(hash("/a", "x", 0644), hash("/a", "x", 0755));
}

std::string image_of(const Manifest& manifest) {
    TemporaryFolder work;
    make_erofs_image(manifest, work.path(), work.path() + "/image");
    return read_host_file(work.path() + "/image").value_or("");
}

TEST(ErofsImage, SameManifestSameBytes) {
    TemporaryFolder made;
    for (int i = 0; i < 40; ++i) {
        made.file("/d/file" + std::to_string(i), std::string(static_cast<size_t>(i) * 500, 'x'));
    }
    made.link("/d/link", "file1");
    Manifest manifest;
    manifest.add_copy(made.path(), "/");
    std::string first = image_of(manifest);
    EXPECT_GT(first.size(), 40u * 4096);
    EXPECT_EQ(first, image_of(manifest));
}

TEST(ErofsImage, DataOfAFileIsOnPageBoundaries) {
    Manifest manifest;
    std::string content = "sought:" + std::string(5000, 'y');
    manifest.add_made_file("/f", content);
    std::string image = image_of(manifest);
    size_t at = image.find("sought:");
    ASSERT_NE(at, std::string::npos);
    EXPECT_EQ(at % 4096, 0u);
    EXPECT_EQ(image.compare(at, content.size(), content), 0);
}

TEST(ErofsImage, KeepsTimes) {
    TemporaryFolder work;
    std::string source = work.file("/source", "x");
    timespec times[2] = {{1'234'567'890, 0}, {1'234'567'890, 123'456'789}};
    ASSERT_EQ(utimensat(AT_FDCWD, source.c_str(), times, 0), 0);
    Manifest manifest;
    manifest.add_copy(source, "/f");
    make_erofs_image(manifest, work.path(), work.path() + "/image");
    std::string command = "dump.erofs --path=/f " + work.path() + "/image";
    FILE* pipe = popen(command.c_str(), "r");
    std::string text(4096, '\0');
    text.resize(fread(text.data(), 1, text.size(), pipe));
    EXPECT_EQ(pclose(pipe), 0);
    EXPECT_THAT(text, HasSubstr("2009-02-1"));
    EXPECT_THAT(text, HasSubstr(".123456789"));
}

TEST(ImageCacheTest, MakesAnImageOnceAndNoticesChanges) {
    TemporaryFolder made;
    made.file("/root/bin/tool", MadeElf().bytes(), 0755);
    made.file("/root/data", "one");
    RootRequest request;
    request.rootfs = made.path() + "/root";
    request.program = find_program(Tree(request.rootfs), "/bin/tool", "/", "/bin");
    ImageCache cache(made.path() + "/cache");
    RootImage first = cache.obtain(request);
    struct stat before, after;
    ASSERT_EQ(stat(first.path.c_str(), &before), 0);
    EXPECT_EQ(cache.obtain(request).path, first.path);
    ASSERT_EQ(stat(first.path.c_str(), &after), 0);
    EXPECT_EQ(before.st_ino, after.st_ino);
    made.file("/root/data", "two");
    EXPECT_NE(cache.obtain(request).path, first.path);
    made.file("/root/new", "");
    RootImage third = cache.obtain(request);
    unlink(third.path.c_str());
    EXPECT_EQ(cache.obtain(request).path, third.path);
    EXPECT_EQ(access(third.path.c_str(), R_OK), 0);
}

TEST(RootPlanTest, NamesTheMissingLibrary) {
    TemporaryFolder made;
    MadeElf elf;
    elf.needed = {"libabsent.so.3"};
    made.file("/bin/tool", elf.bytes(), 0755);
    RootRequest request;
    request.rootfs = made.path();
    request.program = find_program(Tree(made.path()), "/bin/tool", "/", "/bin");
    try {
        plan_root(request);
        FAIL();
    } catch (const CommandError& error) {
        EXPECT_EQ(error.exit_status(), 127);
        EXPECT_THAT(error.what(), HasSubstr("/bin/tool: needs the library libabsent.so.3"));
    }
}

// On the host itself: what Debian's packages make of a root image.
class HostPlanTest : public testing::Test {
  protected:
    static RootPlan plan(const std::string& program) {
        RootRequest request;
        request.program = find_program(Tree(), program, "/", "/usr/bin:/bin");
        return plan_root(request);
    }
};

TEST_F(HostPlanTest, AnEssentialPackagesOtherCommandsStayOut) {
    RootPlan ls = plan("ls");
    EXPECT_TRUE(ls.manifest.has("/usr/bin/ls"));
    EXPECT_FALSE(ls.manifest.has("/usr/bin/sort"));
    EXPECT_LT(ls.manifest.total_bytes(), 3u << 20);
}

TEST_F(HostPlanTest, AnInterpreterFindsItsLibrary) {
    RootPlan perl = plan("perl");
    EXPECT_THAT(perl.packages, testing::Contains("perl-base"));
    EXPECT_THAT(perl.packages, Not(testing::Contains("libc6")));
    EXPECT_LT(perl.manifest.total_bytes(), 64u << 20);
}

TEST_F(HostPlanTest, HoldsNoSecret) {
    for (const char* program : {"perl", "openssl", "ls"}) {
        RootPlan root = plan(program);
        for (const auto& [path, entry] : root.manifest.entries()) {
            EXPECT_FALSE(is_secret(path)) << path;
        }
    }
}

}  // namespace
}  // namespace coracle
