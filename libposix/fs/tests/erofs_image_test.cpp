// The EROFS reader on images of mkfs.erofs, whole and damaged.
#include "libposix/fs/erofs_image.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <map>
#include <random>

#include "libposix/fs/tests/test_image.h"

namespace coracle::test {
namespace {

namespace fs = std::filesystem;

std::string numbered(size_t size) {
    std::string text;
    for (size_t i = 0; text.size() < size; i++) text += std::to_string(i) + " ";
    text.resize(size);
    return text;
}

class ErofsTest : public testing::Test {
  protected:
    ErofsTest() {
        for (size_t size : {0u, 1u, 4095u, 4096u, 4097u, 100000u}) {
            tree_.write("files/" + std::to_string(size), numbered(size));
        }
        for (int i = 0; i < 700; i++) {  // several directory blocks
            tree_.write("many/name-" + std::to_string(i * 7919 % 700), std::to_string(i));
        }
        fs::create_symlink("files/4097", tree_.path() / "link");
        fs::create_symlink(std::string(3000, 'x'), tree_.path() / "long-link");
        fs::create_hard_link(tree_.path() / "files/1", tree_.path() / "second-name");
        mknod((tree_.path() / "device").c_str(), S_IFCHR | 0620, makedev(259, 70000));
        mkfifo((tree_.path() / "fifo").c_str(), 0600);
    }

    void compare(const ErofsImage& image, uint64_t nid, const fs::path& path) {
        auto node = image.node(nid);
        ASSERT_TRUE(node.ok()) << path << " errno " << node.error_code();
        struct stat st;
        ASSERT_EQ(lstat(path.c_str(), &st), 0);
        EXPECT_EQ(node->mode, st.st_mode) << path;
        EXPECT_EQ(node->uid, st.st_uid);
        EXPECT_EQ(node->link_count, st.st_nlink) << path;
        if (S_ISREG(st.st_mode)) {
            EXPECT_EQ(node->size, static_cast<uint64_t>(st.st_size)) << path;
            std::string expected(node->size, '\0');
            FILE* file = fopen(path.c_str(), "rb");
            EXPECT_EQ(fread(expected.data(), 1, expected.size(), file), expected.size());
            fclose(file);
            EXPECT_TRUE(read_node(image, *node) == expected) << path;
        } else if (S_ISLNK(st.st_mode)) {
            std::string text(node->size, '\0');
            ASSERT_TRUE(image.read_link(*node, text.data(), text.size()).ok());
            EXPECT_EQ(text, fs::read_symlink(path).string());
        } else if (S_ISCHR(st.st_mode)) {
            EXPECT_EQ(node->device, st.st_rdev);
        } else if (S_ISDIR(st.st_mode)) {
            std::map<std::string, uint64_t> listed;
            ASSERT_TRUE(image.for_each_entry(*node, [&](const ErofsImage::Entry& entry)
                                                        -> Result<void> {
                listed[std::string(entry.name)] = entry.nid;
                return {};
            }).ok());
            size_t expected = 0;
            for (const auto& entry : fs::directory_iterator(path)) {
                std::string name = entry.path().filename();
                expected++;
                auto found = image.lookup(*node, name);
                ASSERT_TRUE(found.ok()) << entry.path();
                EXPECT_EQ(found->nid, listed[name]);
                compare(image, found->nid, entry.path());
            }
            EXPECT_EQ(listed.size(), expected) << path;
            EXPECT_EQ(image.lookup(*node, "absent").error_code(), ENOENT);
            EXPECT_EQ(image.lookup(*node, "").error_code(), ENOENT);
            EXPECT_EQ(image.lookup(*node, "zzzzzz").error_code(), ENOENT);
        }
    }

    TemporaryFolder tree_;
};

TEST_F(ErofsTest, ReadsWhatTheHostHas) {
    for (const char* options : {"", "-Eforce-inode-compact", "-Eforce-inode-extended",
                                "-Enoinline_data", "--chunksize=4096", "--chunksize=16384",
                                "-Eforce-chunk-indexes --chunksize=4096"}) {
        SCOPED_TRACE(options);
        TestImage image(tree_.path(), options);
        auto opened = ErofsImage::open(image.bytes());
        ASSERT_TRUE(opened.ok()) << opened.error_code();
        compare(*opened, opened->root_nid(), tree_.path());
    }
}

TEST_F(ErofsTest, ReadsExtendedAttributes) {
    std::string path = tree_.path() / "files/1";
    if (setxattr(path.c_str(), "trusted.coracle", "value", 5, 0) != 0) GTEST_SKIP();
    TestImage image(tree_.path());
    auto opened = ErofsImage::open(image.bytes());
    ASSERT_TRUE(opened.ok());
    auto files = opened->lookup(*opened->node(opened->root_nid()), "files");
    auto file = opened->lookup(*opened->node(files->nid), "1");
    std::map<std::string, std::string> found;
    auto node = opened->node(file->nid);
    ASSERT_TRUE(opened->for_each_xattr(*node, [&](std::string_view prefix, std::string_view suffix,
                                                  Bytes value) -> Result<void> {
        found[std::string(prefix) + std::string(suffix)] =
            std::string(reinterpret_cast<const char*>(value.data()), value.size());
        return {};
    }).ok());
    EXPECT_EQ(found["trusted.coracle"], "value");
}

TEST_F(ErofsTest, RefusesWhatIsNoImage) {
    std::vector<std::byte> nothing;
    EXPECT_EQ(ErofsImage::open(nothing).error_code(), EINVAL);
    std::vector<std::byte> zeros(8192);
    EXPECT_EQ(ErofsImage::open(zeros).error_code(), EINVAL);
    TestImage compressed(tree_.path(), "-zlz4");
    auto opened = ErofsImage::open(compressed.bytes());
    if (opened.ok()) {  // the feature bit does not tell: the files do
        auto files = opened->lookup(*opened->node(opened->root_nid()), "files");
        auto big = opened->lookup(*opened->node(files->nid), "100000");
        EXPECT_EQ(opened->node(big->nid).error_code(), EOPNOTSUPP);
    } else {
        EXPECT_EQ(opened.error_code(), EOPNOTSUPP);
    }
    TestImage image(tree_.path());
    EXPECT_EQ(ErofsImage::open(image.bytes().first(4096)).error_code(), EUCLEAN);
}

void read_everything(const ErofsImage& image, uint64_t nid, int depth) {
    auto node = image.node(nid);
    if (!node.ok() || depth > 3) return;
    for (uint64_t index = 0; index < std::min<uint64_t>(node->size / 4096 + 1, 40); index++) {
        auto bytes = image.page(*node, index);
        if (!bytes.ok()) break;
        volatile auto first = bytes->empty() ? std::byte{} : bytes->back();
        (void)first;
    }
    char text[4096];
    (void)image.read_link(*node, text, sizeof(text));
    int entries = 0;
    (void)image.for_each_entry(*node, [&](const ErofsImage::Entry& entry) -> Result<void> {
        read_everything(image, entry.nid, depth + 1);
        if (++entries > 50) return Error(E2BIG);
        return {};
    });
    (void)image.for_each_xattr(*node, [](auto, auto, Bytes) -> Result<void> { return {}; });
}

TEST_F(ErofsTest, SurvivesDamage) {
    TemporaryFolder small;
    small.write("a/b", numbered(5000));
    fs::create_symlink("a/b", small.path() / "c");
    TestImage image(small.path());
    size_t size = image.bytes().size();
    std::mt19937 random(1);
    for (int round = 0; round < 3000; round++) {
        // Exactly as large as the image, so that AddressSanitizer sees every byte too many.
        std::vector<std::byte> damaged(image.bytes().begin(), image.bytes().end());
        for (int i = 0; i < 1 + round % 8; i++) {
            size_t at = round % 2 ? 1024 + random() % 3072 : random() % size;
            damaged[at % size] = static_cast<std::byte>(random());
        }
        auto opened = ErofsImage::open(damaged);
        if (opened.ok()) read_everything(*opened, opened->root_nid(), 0);
    }
}

}  // namespace
}  // namespace coracle::test
