// Which libraries a program needs: paths, ELF files, the closure, and the cache of ldconfig.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tools/image/closure.h"
#include "tools/image/elf_file.h"
#include "tools/image/library_cache.h"
#include "tools/image/root_plan.h"
#include "tools/tests/made_elf.h"
#include "tools/tests/temporary_folder.h"

namespace coracle {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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

}  // namespace
}  // namespace coracle
