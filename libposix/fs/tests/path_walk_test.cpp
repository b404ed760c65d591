// Path resolution on a tmpfs tree: man 7 path_resolution, openat2(2).
#include "libposix/fs/path_walk.h"

#include <gtest/gtest.h>

#include "kernel-min/memory/heap.h"
#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/tmpfs.h"

namespace coracle {
namespace {

class PathWalkTest : public testing::Test {
  protected:
    PathWalkTest() {
        auto file_system = make_ref<TmpfsFileSystem>(uint64_t{1000}, "tmpfs", "").release_value();
        RefPtr<Inode> top = file_system->make_root(0755).release_value();
        RefPtr<Dentry> dentry = Dentry::create(nullptr, "/", top).release_value();
        root_.mount = Mount::attach(Path{}, file_system, dentry, 0).release_value();
        root_.dentry = dentry;
        user_.fsuid = user_.uid = 1000;
        user_.fsgid = user_.gid = 1000;
        user_.effective = 0;
        make("/a", S_IFDIR | 0755);
        make("/a/b", S_IFDIR | 0755);
        make("/a/b/file", S_IFREG | 0644);
        make("/private", S_IFDIR | 0700);
        make("/private/file", S_IFREG | 0644);
    }
    ~PathWalkTest() override { (void)root_.mount->detach(); }

    void make(const std::string& name, uint32_t mode, std::string_view target = {}) {
        PathWalker walker({root_, root_, kernel_}, 0);
        ASSERT_TRUE(walker.walk_to_last(name).ok()) << name;
        NewInode what = {.mode = mode, .link_target = target};
        auto inode = walker.directory().inode().create(walker.last_name(), what);
        ASSERT_TRUE(inode.ok()) << name;
    }
    void link(const std::string& name, const std::string& target) {
        make(name, S_IFLNK | 0777, target);
    }

    Result<Path> resolve(std::string_view name, uint32_t flags = kFollowLast) {
        return PathWalker({root_, start_ ? start_ : root_, *who_}, flags).resolve(name);
    }
    int error(std::string_view name, uint32_t flags = kFollowLast) {
        return resolve(name, flags).error_code();
    }
    std::string where(std::string_view name, uint32_t flags = kFollowLast) {
        auto path = resolve(name, flags);
        if (!path.ok()) return "errno " + std::to_string(path.error_code());
        char text[kMaxPath];
        auto length = format_path(*path, root_, text, sizeof(text));
        return length.ok() ? std::string(text, *length) : "unprintable";
    }

    Path root_, start_;
    Credentials kernel_, user_;
    const Credentials* who_ = &kernel_;
};

TEST_F(PathWalkTest, FindsPlaces) {
    EXPECT_EQ(where("/"), "/");
    EXPECT_EQ(where("///"), "/");
    EXPECT_EQ(where("/a/b/file"), "/a/b/file");
    EXPECT_EQ(where("//a///b//file"), "/a/b/file");
    EXPECT_EQ(where("/a/./b/../b/."), "/a/b");
    EXPECT_EQ(where("/.."), "/");
    EXPECT_EQ(where("/../../a"), "/a");
    EXPECT_EQ(where("a/b/"), "/a/b");
    start_ = resolve("/a").release_value();
    EXPECT_EQ(where("b"), "/a/b");
    EXPECT_EQ(where("../private"), "/private");
    EXPECT_EQ(where("", kAllowEmpty), "/a");
}

TEST_F(PathWalkTest, TellsWhatIsWrong) {
    EXPECT_EQ(error(""), ENOENT);
    EXPECT_EQ(error("/absent"), ENOENT);
    EXPECT_EQ(error("/absent/x"), ENOENT);
    EXPECT_EQ(error("/a/b/file/x"), ENOTDIR);
    EXPECT_EQ(error("/a/b/file/"), ENOTDIR);
    EXPECT_EQ(error("/a/b/file/."), ENOTDIR);
    EXPECT_EQ(error("/a/b/file", kLastIsDirectory), ENOTDIR);
    EXPECT_EQ(error("/" + std::string(255, 'n')), ENOENT);
    EXPECT_EQ(error("/" + std::string(256, 'n')), ENAMETOOLONG);
    EXPECT_EQ(error("/" + std::string(256, 'n') + "/x"), ENAMETOOLONG);
}

TEST_F(PathWalkTest, FollowsSymbolicLinks) {
    link("/absolute", "/a/b");
    link("/a/relative", "b/file");
    link("/a/up", "../private");
    link("/slash", "a/");
    link("/dangling", "nowhere");
    EXPECT_EQ(where("/absolute"), "/a/b");
    EXPECT_EQ(where("/absolute", 0), "/absolute");
    EXPECT_EQ(where("/absolute/", 0), "/a/b");
    EXPECT_EQ(where("/absolute/file", 0), "/a/b/file");
    EXPECT_EQ(where("/a/relative"), "/a/b/file");
    EXPECT_EQ(where("/a/up/file"), "/private/file");
    EXPECT_EQ(where("/slash/b"), "/a/b");
    EXPECT_EQ(where("/slash"), "/a");
    EXPECT_EQ(error("/a/relative/"), ENOTDIR);
    EXPECT_EQ(error("/dangling"), ENOENT);
    EXPECT_EQ(where("/dangling", 0), "/dangling");
    EXPECT_EQ(error("/dangling/x"), ENOENT);
}

TEST_F(PathWalkTest, FollowsLinksInLinks) {
    link("/one", "two/b");
    link("/two", "three");
    link("/three", "/a/../a");
    EXPECT_EQ(where("/one/file"), "/a/b/file");
    EXPECT_EQ(where("/two/b/../b/file"), "/a/b/file");
    link("/a/b/last", "/two");
    EXPECT_EQ(where("/one/last"), "/a");
    EXPECT_EQ(where("/one/last/"), "/a");
}

TEST_F(PathWalkTest, CountsLinks) {
    link("/loop", "loop");
    EXPECT_EQ(error("/loop"), ELOOP);
    EXPECT_EQ(error("/loop/x"), ELOOP);
    EXPECT_EQ(where("/loop", 0), "/loop");
    link("/l0", "a");
    for (int i = 1; i <= 41; i++) link("/l" + std::to_string(i), "l" + std::to_string(i - 1));
    EXPECT_EQ(where("/l39"), "/a");  // 40 links
    EXPECT_EQ(error("/l40"), ELOOP);
    std::string many;
    for (int i = 0; i < 40; i++) many += "/l0/..";
    EXPECT_EQ(where(many), "/");
    EXPECT_EQ(error(many + "/l0"), ELOOP);
}

TEST_F(PathWalkTest, ChecksPermissions) {
    who_ = &user_;
    EXPECT_EQ(where("/private"), "/private");
    EXPECT_EQ(error("/private/file"), EACCES);
    EXPECT_EQ(error("/private/absent"), EACCES);
    EXPECT_EQ(error("/private/.."), EACCES);
    EXPECT_EQ(where("/a/b/file"), "/a/b/file");
}

TEST_F(PathWalkTest, KeepsToTheScope) {
    link("/a/out", "/private");
    link("/a/in", "b");
    link("/a/dots", "../../..");
    start_ = resolve("/a").release_value();
    EXPECT_EQ(where("b/file", kBeneath | kFollowLast), "/a/b/file");
    EXPECT_EQ(where("in/..", kBeneath | kFollowLast), "/a");
    EXPECT_EQ(error("..", kBeneath), EXDEV);
    EXPECT_EQ(error("b/../../a", kBeneath), EXDEV);
    EXPECT_EQ(error("/a", kBeneath), EXDEV);
    EXPECT_EQ(error("out", kBeneath | kFollowLast), EXDEV);
    EXPECT_EQ(where("..", kInRoot), "/a");
    EXPECT_EQ(where("/b", kInRoot), "/a/b");
    EXPECT_EQ(where("dots/b", kInRoot), "/a/b");
    EXPECT_EQ(error("out", kInRoot | kFollowLast), ENOENT);
    EXPECT_EQ(error("in", kNoSymlinks | kFollowLast), ELOOP);
    EXPECT_EQ(where("in", kNoSymlinks), "/a/in");
    EXPECT_EQ(error("in/file", kNoSymlinks), ELOOP);
    EXPECT_EQ(error("b", kCachedOnly), EAGAIN);
}

TEST_F(PathWalkTest, CrossesMounts) {
    auto inner = make_ref<TmpfsFileSystem>(uint64_t{10}, "tmpfs", "").release_value();
    RefPtr<Inode> top = inner->make_root(0755).release_value();
    ASSERT_TRUE(top->create("inside", NewInode{.mode = S_IFDIR | 0755}).ok());
    RefPtr<Dentry> dentry = Dentry::create(nullptr, "/", top).release_value();
    Path point = resolve("/a/b").release_value();
    auto mount = Mount::attach(point, inner, dentry, 0).release_value();
    EXPECT_EQ(where("/a/b/inside"), "/a/b/inside");
    EXPECT_EQ(error("/a/b/file"), ENOENT);
    EXPECT_EQ(where("/a/b/inside/../../b"), "/a/b");
    EXPECT_EQ(where("/a/b/.."), "/a");
    EXPECT_EQ(error("/a/b", kNoCrossDevice), EXDEV);
    start_ = resolve("/a/b").release_value();
    EXPECT_EQ(error("..", kNoCrossDevice), EXDEV);
    EXPECT_EQ(where("../b/inside"), "/a/b/inside");
    EXPECT_EQ(root_.mount->detach().error_code(), EBUSY);
    start_ = {};
    ASSERT_TRUE(mount->detach().ok());
    EXPECT_EQ(where("/a/b/file"), "/a/b/file");
}

TEST_F(PathWalkTest, SeesRemovedAndRenamedNames) {
    Path file = resolve("/a/b/file").release_value();
    Path directory = resolve("/a/b").release_value();
    Path other = resolve("/private").release_value();
    ASSERT_TRUE(directory.inode()
                    .rename("file", file.inode(), other.inode(), "moved-to-a-longer-name-than-"
                            "what-fits-in-the-dentry", nullptr, 0).ok());
    DentryCache::move(*file.dentry, other.dentry,
                      "moved-to-a-longer-name-than-what-fits-in-the-dentry");
    EXPECT_EQ(error("/a/b/file"), ENOENT);
    EXPECT_EQ(where("/private/moved-to-a-longer-name-than-what-fits-in-the-dentry"),
              "/private/moved-to-a-longer-name-than-what-fits-in-the-dentry");
    Path old = resolve("/private/file").release_value();
    ASSERT_TRUE(other.inode().unlink("file", old.inode()).ok());
    DentryCache::remove(*old.dentry);
    char text[64];
    auto length = format_path(old, root_, text, sizeof(text));
    EXPECT_EQ(std::string(text, *length), "/private/file (deleted)");
    EXPECT_EQ(format_path(old, root_, text, 8).error_code(), ENAMETOOLONG);
}

TEST_F(PathWalkTest, KeepsOnlySoManyNames) {
    for (int i = 0; i < 40000; i++) EXPECT_EQ(error("/absent" + std::to_string(i)), ENOENT);
    for (int i = 0; i < 20000; i++) make("/a/name" + std::to_string(i), S_IFREG | 0644);
    for (int i = 0; i < 20000; i++) {
        ASSERT_TRUE(resolve("/a/name" + std::to_string(i)).ok());
    }
    EXPECT_EQ(where("/a/name0"), "/a/name0");
}

TEST_F(PathWalkTest, StopsBeforeTheLastName) {
    PathWalker walker({root_, root_, kernel_}, 0);
    ASSERT_TRUE(walker.walk_to_last("/a/b/new/").ok());
    EXPECT_EQ(walker.last_name(), "new");
    EXPECT_TRUE(walker.has_trailing_slash());
    EXPECT_EQ(walker.last_kind(), PathWalker::Last::kName);
    EXPECT_EQ(walker.look_up_last().error_code(), ENOENT);
    PathWalker dots({root_, root_, kernel_}, 0);
    ASSERT_TRUE(dots.walk_to_last("a/..").ok());
    EXPECT_EQ(dots.last_kind(), PathWalker::Last::kDotDot);
    PathWalker slash({root_, root_, kernel_}, 0);
    ASSERT_TRUE(slash.walk_to_last("//").ok());
    EXPECT_EQ(slash.last_kind(), PathWalker::Last::kRoot);
}

}  // namespace
}  // namespace coracle
