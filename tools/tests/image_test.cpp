// What goes into a root image: paths, libraries, packages, programs and the image itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tools/image/closure.h"
#include "tools/image/elf_file.h"
#include "tools/image/erofs_image.h"
#include "tools/image/image_cache.h"
#include "tools/image/library_cache.h"
#include "tools/image/package_policy.h"
#include "tools/image/packages.h"
#include "tools/image/program.h"
#include "tools/support/error.h"
#include "tools/tests/made_elf.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<std::string> paths_of(const Closure& closure) {
    std::vector<std::string> paths;
    for (const ClosureObject& object : closure.objects) paths.push_back(object.path);
    return paths;
}

TEST(Tree, FollowsLinksInsideItself) {
    TemporaryFolder made;
    made.file("/usr/lib/real.so.1.2", "x");
    made.link("/usr/lib/real.so.1", "real.so.1.2");
    made.link("/lib", "usr/lib");
    made.link("/absolute", "/usr/lib/real.so.1");
    made.link("/up", "usr/lib/../../../../../absolute");
    Tree tree(made.path());

    Resolved resolved = tree.resolve("/lib/real.so.1");
    EXPECT_TRUE(resolved.found);
    EXPECT_EQ(resolved.path, "/usr/lib/real.so.1.2");
    EXPECT_THAT(resolved.links, ElementsAre("/lib", "/usr/lib/real.so.1"));
    EXPECT_EQ(tree.resolve("/up").path, "/usr/lib/real.so.1.2");
    EXPECT_EQ(tree.resolve("/lib/real.so.1", false).path, "/usr/lib/real.so.1");
    EXPECT_EQ(tree.resolve("/").path, "/");
}

TEST(Tree, TellsWhyAPathLeadsNowhere) {
    TemporaryFolder made;
    made.file("/file", "x");
    made.link("/loop", "loop");
    Tree tree(made.path());
    EXPECT_EQ(tree.resolve("/none/x").error, ENOENT);
    EXPECT_EQ(tree.resolve("/file/x").error, ENOTDIR);
    EXPECT_EQ(tree.resolve("/loop").error, ELOOP);
}

TEST(Paths, Normal) {
    EXPECT_EQ(normal_path("/a//b/./c/../d/"), "/a/b/d");
    EXPECT_EQ(normal_path("/../.."), "/");
    EXPECT_EQ(parent_path("/a"), "/");
    EXPECT_EQ(parent_path("/a/b"), "/a");
    EXPECT_EQ(base_name("/a/b"), "b");
}

TEST(ElfFile, ReadsWhatAProgramAsksFor) {
    TemporaryFolder made;
    MadeElf elf;
    elf.interpreter = "/lib64/ld-linux-x86-64.so.2";
    elf.needed = {"libone.so.1", "libtwo.so"};
    elf.runpath = "$ORIGIN/lib:/opt/lib";
    auto read = ElfFile::read(made.file("/p", elf.bytes()));
    ASSERT_TRUE(read);
    EXPECT_EQ(read->interpreter, elf.interpreter);
    EXPECT_THAT(read->needed, ElementsAre("libone.so.1", "libtwo.so"));
    EXPECT_THAT(read->runpath, ElementsAre("$ORIGIN/lib", "/opt/lib"));
    EXPECT_TRUE(read->is_x86_64());
}

TEST(ElfFile, ReadsTheHostsSymbolsWithTheirVersions) {
    auto read = ElfFile::read("/bin/sh");
    ASSERT_TRUE(read);
    bool found = false;
    for (const ElfSymbol& symbol : read->symbols) {
        if (symbol.name != "fork" || symbol.defined) continue;
        found = true;
        EXPECT_EQ(symbol.version, "GLIBC_2.2.5");
        EXPECT_EQ(symbol.library, "libc.so.6");
    }
    EXPECT_TRUE(found);
}

TEST(ElfFile, SurvivesDamage) {
    TemporaryFolder made;
    EXPECT_FALSE(ElfFile::read(made.file("/text", "hello")));
    EXPECT_FALSE(ElfFile::read(made.path() + "/none"));
    MadeElf elf;
    elf.interpreter = "/ld.so";
    elf.needed = {"libone.so.1"};
    std::string good = elf.bytes();
    std::mt19937 random(1);
    for (int round = 0; round < 2000; ++round) {
        std::string bad = good.substr(0, 8 + random() % (good.size() - 8));
        if (round % 2) bad = good;
        for (int i = 0; i < 4; ++i)
            bad[4 + random() % (bad.size() - 4)] = static_cast<char>(random());
        ElfFile::read(made.file("/bad", bad));
    }
}

class ClosureTest : public testing::Test {
  protected:
    void add(const std::string& path, const MadeElf& elf) { made_.file(path, elf.bytes(), 0755); }
    void library(const std::string& path, std::vector<std::string> needed = {},
                 const std::string& runpath = "", const std::string& rpath = "") {
        MadeElf elf;
        elf.soname = base_name(path);
        elf.needed = std::move(needed);
        elf.runpath = runpath;
        elf.rpath = rpath;
        add(path, elf);
    }
    Closure find(ClosureOptions options = {}) {
        return find_closure(Tree(made_.path()), "/bin/program", options);
    }
    TemporaryFolder made_;
};

TEST_F(ClosureTest, FindsLibrariesBreadthFirstAndOnce) {
    library("/bin/program", {"libb.so", "liba.so", "libc.so.6"});
    library("/usr/lib/x86_64-linux-gnu/liba.so", {"libd.so", "libm.so.6"});
    library("/lib/x86_64-linux-gnu/libb.so", {"liba.so", "libd.so"});
    library("/usr/lib/libd.so", {"liba.so"});
    Closure closure = find();
    EXPECT_THAT(paths_of(closure),
                ElementsAre("/bin/program", "/lib/x86_64-linux-gnu/libb.so",
                            "/usr/lib/x86_64-linux-gnu/liba.so", "/usr/lib/libd.so"));
    EXPECT_THAT(closure.missing, IsEmpty());
}

TEST_F(ClosureTest, NeedsGlibcOnlyForItsOwnLibc) {
    library("/bin/program", {"libc.so.6"});
    library("/lib/x86_64-linux-gnu/libc.so.6");
    EXPECT_THAT(paths_of(find()), ElementsAre("/bin/program"));
    ClosureOptions own;
    own.builtin_libc = false;
    EXPECT_THAT(paths_of(find(own)),
                ElementsAre("/bin/program", "/lib/x86_64-linux-gnu/libc.so.6"));
}

TEST_F(ClosureTest, SearchOrder) {
    library("/bin/program", {"libx.so"}, "$ORIGIN/../opt");
    library("/opt/libx.so");
    library("/usr/lib/libx.so");
    library("/given/libx.so");
    EXPECT_THAT(paths_of(find()), ElementsAre("/bin/program", "/bin/../opt/libx.so"));
    ClosureOptions options;
    options.library_path = {"/given"};
    EXPECT_THAT(paths_of(find(options)), ElementsAre("/bin/program", "/given/libx.so"));
}

TEST_F(ClosureTest, RpathIsInheritedAndRunpathIsNot) {
    library("/bin/program", {"liba.so"}, "", "/one");
    library("/one/liba.so", {"libb.so"});
    library("/one/libb.so");
    EXPECT_THAT(find().missing, IsEmpty());
    library("/bin/program", {"liba.so"}, "/one");
    Closure closure = find();
    ASSERT_EQ(closure.missing.size(), 1u);
    EXPECT_EQ(closure.missing[0].name, "libb.so");
    EXPECT_EQ(closure.missing[0].wanted_by, "/one/liba.so");
}

TEST_F(ClosureTest, PassesOverLibrariesOfOtherMachines) {
    library("/bin/program", {"libx.so"}, "/arm:/right");
    MadeElf arm;
    arm.machine = EM_AARCH64;
    add("/arm/libx.so", arm);
    library("/right/libx.so");
    EXPECT_THAT(paths_of(find()), ElementsAre("/bin/program", "/right/libx.so"));
}

TEST_F(ClosureTest, MuslsLoaderIsItsLibc) {
    MadeElf program;
    program.interpreter = "/lib/ld-musl-x86_64.so.1";
    program.needed = {"libc.so", "libz.so.1"};
    add("/bin/program", program);
    library("/usr/lib/x86_64-linux-musl/libz.so.1");
    Closure closure = find();
    EXPECT_THAT(closure.missing, IsEmpty());
    EXPECT_THAT(paths_of(closure),
                ElementsAre("/bin/program", "/usr/lib/x86_64-linux-musl/libz.so.1"));
}

TEST_F(ClosureTest, PreloadsComeFirst) {
    library("/bin/program", {"liba.so"});
    library("/usr/lib/liba.so");
    library("/pre/libp.so");
    ClosureOptions options = closure_options({{"LD_PRELOAD", "/pre/libp.so"}}, false);
    EXPECT_THAT(paths_of(find(options)),
                ElementsAre("/bin/program", "/pre/libp.so", "/usr/lib/liba.so"));
}

TEST(LibraryCache, ReadsWhatItWrites) {
    TemporaryFolder made;
    made.file("/etc/ld.so.cache", make_library_cache({{"libz.so.1", "/opt/z/libz.so.1"},
                                                      {"liba.so", "/opt/a/liba.so"}}));
    auto read = read_library_cache(Tree(made.path()));
    ASSERT_EQ(read.size(), 2u);
    EXPECT_EQ(read[0].name, "libz.so.1");
    EXPECT_EQ(read[1].path, "/opt/a/liba.so");
}

TEST(LibraryCache, RefusesDamage) {
    TemporaryFolder made;
    std::string bytes = make_library_cache({{"liba.so", "/opt/a/liba.so"}});
    made.file("/etc/ld.so.cache", bytes.substr(0, 60));
    EXPECT_THAT(read_library_cache(Tree(made.path())), IsEmpty());
}

TEST(LibraryCache, LdconfigReadsIt) {
    auto libraries = read_library_cache(Tree());
    ASSERT_FALSE(libraries.empty()) << "the host has no cache to compare with";
    TemporaryFolder made;
    std::string path = made.file("/cache", make_library_cache(libraries));
    std::string command = "/sbin/ldconfig -p -C " + path + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    char line[1024];
    size_t lines = 0;
    bool first = true;
    while (fgets(line, sizeof(line), pipe)) {
        if (first) {
            EXPECT_THAT(line, HasSubstr(std::to_string(libraries.size()) + " libs"));
        }
        first = false;
        if (strstr(line, "(libc6,x86-64)")) ++lines;
    }
    EXPECT_EQ(pclose(pipe), 0);
    EXPECT_EQ(lines, libraries.size());
}

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
