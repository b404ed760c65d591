// tmpfs, by itself and over an EROFS image.
#include "libposix/fs/tmpfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/xattr.h>

#include <map>
#include <random>
#include <set>

#include "kernel-min/memory/heap.h"
#include "libposix/fs/tests/test_image.h"

namespace coracle {
namespace {

using test::TemporaryFolder;
using test::TestImage;

std::string read(Inode& inode, uint64_t offset, size_t length) {
    std::string text(length, '?');
    IoBuffer buffer = IoBuffer::kernel(text.data(), length);
    auto done = inode.read(buffer, offset);
    if (!done.ok()) return "errno " + std::to_string(done.error_code());
    text.resize(*done);
    return text;
}

int write(Inode& inode, uint64_t offset, const std::string& text) {
    IoBuffer buffer = IoBuffer::kernel(text.data(), text.size());
    auto done = inode.write(buffer, offset);
    return done.ok() ? static_cast<int>(*done) : -done.error_code();
}

std::set<std::string> list(Inode& directory) {
    struct Visitor : DirectoryVisitor {
        bool visit(std::string_view name, uint64_t, uint8_t, uint64_t next) override {
            if (names.size() >= limit) return false;
            names.insert(std::string(name));
            position = next;
            return true;
        }
        std::set<std::string> names;
        size_t limit = SIZE_MAX;
        uint64_t position = 2;
    } visitor;
    // Three at a time, as a reader with a small buffer would.
    for (size_t before = SIZE_MAX; before != visitor.names.size();) {
        before = visitor.names.size();
        visitor.limit = before + 3;
        EXPECT_TRUE(directory.list(visitor.position, visitor).ok());
    }
    return visitor.names;
}

class TmpfsTest : public testing::Test {
  protected:
    TmpfsTest() : frames_before_(frames_in_use()) { set_up(64); }
    ~TmpfsTest() override {
        root_ = nullptr;
        file_system_ = nullptr;
        EXPECT_EQ(frames_in_use(), frames_before_);
    }
    void set_up(uint64_t max_pages) {
        file_system_ =
            make_ref<TmpfsFileSystem>(max_pages, "tmpfs", "").release_value();
    }
    RefPtr<Inode> root() {
        if (!root_) root_ = file_system_->make_root(0755).release_value();
        return root_;
    }
    RefPtr<Inode> make(const std::string& name, uint32_t mode = S_IFREG | 0644) {
        return root()->create(name, NewInode{.mode = mode}).release_value();
    }

    size_t frames_before_;
    RefPtr<TmpfsFileSystem> file_system_;
    RefPtr<Inode> root_;
};

TEST_F(TmpfsTest, FilesBehaveAsArraysOfBytes) {
    RefPtr<Inode> file = make("file");
    std::string expected;
    std::mt19937 random(3);
    for (int round = 0; round < 2000; round++) {
        size_t offset = random() % 40000, length = random() % 9000;
        switch (random() % 5) {
            case 0:
                ASSERT_TRUE(file->truncate(offset).ok());
                expected.resize(offset);
                break;
            case 1:
                ASSERT_TRUE(file->allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                                           length + 1).ok());
                for (size_t i = offset; i < std::min(offset + length + 1, expected.size()); i++) {
                    expected[i] = '\0';
                }
                break;
            case 2:
                EXPECT_EQ(read(*file, offset, length),
                          offset < expected.size() ? expected.substr(offset, length) : "");
                break;
            default: {
                std::string text(length, static_cast<char>('a' + round % 26));
                ASSERT_EQ(write(*file, offset, text), static_cast<int>(length));
                if (length == 0) break;
                expected.resize(std::max(expected.size(), offset + length));
                expected.replace(offset, length, text);
            }
        }
        ASSERT_EQ(file->size(), expected.size());
    }
    EXPECT_TRUE(read(*file, 0, 100000) == expected);
}

TEST_F(TmpfsTest, HolesTakeNoMemory) {
    RefPtr<Inode> file = make("sparse");
    EXPECT_EQ(write(*file, uint64_t{1} << 40, "x"), 1);
    EXPECT_EQ(file->size(), (uint64_t{1} << 40) + 1);
    EXPECT_EQ(file->blocks(), 8u);
    EXPECT_EQ(read(*file, 12345, 3), std::string(3, '\0'));
    EXPECT_EQ(*file->seek_data(0, false), uint64_t{1} << 40);
    EXPECT_EQ(*file->seek_data(0, true), 0u);
    EXPECT_EQ(*file->seek_data(uint64_t{1} << 40, true), file->size());
    EXPECT_EQ(file->seek_data(file->size(), false).error_code(), ENXIO);
    EXPECT_EQ(write(*file, INT64_MAX, "x"), -EFBIG);
    ASSERT_TRUE(file->truncate(0).ok());
    EXPECT_EQ(file->blocks(), 0u);
}

TEST_F(TmpfsTest, FullIsNoSpace) {
    RefPtr<Inode> file = make("big");
    std::string page(4096, 'p');
    for (int i = 0; i < 64; i++) ASSERT_EQ(write(*file, i * 4096, page), 4096);
    EXPECT_EQ(write(*file, 64 * 4096, page), -ENOSPC);
    EXPECT_EQ(file_system_->statistics().free_blocks, 0u);
    EXPECT_EQ(file->allocate(0, 0, 65 * 4096).error_code(), ENOSPC);
    ASSERT_TRUE(file->truncate(4096).ok());
    EXPECT_EQ(file_system_->statistics().free_blocks, 63u);
    // Some fits: a short count.
    EXPECT_EQ(write(*file, 4096, std::string(70 * 4096, 'q')), 63 * 4096);
    ASSERT_TRUE(file->truncate(0).ok());
    frame_limit = frames_in_use();
    EXPECT_EQ(write(*file, 0, "x"), -ENOSPC);  // no memory looks the same
    frame_limit = SIZE_MAX;
}

TEST_F(TmpfsTest, MappedPagesAreTheFile) {
    RefPtr<Inode> file = make("mapped");
    write(*file, 0, "before");
    PhysAddr frame = file->page(0, true).release_value();
    phys_to_virt<char>(frame)[0] = 'B';
    EXPECT_EQ(read(*file, 0, 6), "Before");
    EXPECT_EQ(file->page(1, false).error_code(), ENXIO);
    ASSERT_TRUE(file->truncate(0).ok());
    EXPECT_EQ(phys_to_virt<char>(frame)[0], 'B');  // the mapping keeps it
    put_frame(frame);
}

TEST_F(TmpfsTest, SealsHold) {
    RefPtr<Inode> inode = make("sealed");
    auto& file = static_cast<TmpfsFile&>(*inode);
    EXPECT_EQ(file.add_seals(F_SEAL_WRITE).error_code(), EINVAL);
    file.enable_seals(0);
    write(file, 0, "text");
    ASSERT_TRUE(file.add_seals(F_SEAL_GROW | F_SEAL_SHRINK).ok());
    EXPECT_EQ(write(file, 2, "xyz"), -EPERM);
    EXPECT_EQ(write(file, 2, "xy"), 2);
    EXPECT_EQ(file.truncate(3).error_code(), EPERM);
    EXPECT_EQ(file.truncate(5).error_code(), EPERM);
    ASSERT_TRUE(file.add_seals(F_SEAL_WRITE | F_SEAL_SEAL).ok());
    EXPECT_EQ(write(file, 0, "x"), -EPERM);
    EXPECT_EQ(file.add_seals(F_SEAL_GROW).error_code(), EPERM);
}

TEST_F(TmpfsTest, LinksAreCounted) {
    RefPtr<Inode> file = make("one");
    ASSERT_TRUE(root()->link("two", *file).ok());
    EXPECT_EQ(file->link_count, 2u);
    ASSERT_TRUE(root()->unlink("one", *file).ok());
    EXPECT_EQ(file->link_count, 1u);
    EXPECT_EQ(root()->lookup("one").error_code(), ENOENT);
    EXPECT_TRUE(root()->lookup("two").value() == file);
    RefPtr<Inode> directory = make("directory", S_IFDIR | 0755);
    EXPECT_EQ(root()->link_count, 3u);
    ASSERT_TRUE(directory->create("inside", NewInode{.mode = S_IFREG}).ok());
    EXPECT_EQ(root()->remove_directory("directory", *directory).error_code(), ENOTEMPTY);
    RefPtr<Inode> inside = directory->lookup("inside").release_value();
    ASSERT_TRUE(directory->unlink("inside", *inside).ok());
    ASSERT_TRUE(root()->remove_directory("directory", *directory).ok());
    EXPECT_EQ(root()->link_count, 2u);
    EXPECT_EQ(directory->link_count, 0u);
}

TEST_F(TmpfsTest, RenamesReplaceAndExchange) {
    RefPtr<Inode> a = make("a"), b = make("b");
    RefPtr<Inode> d = make("d", S_IFDIR | 0755);
    ASSERT_TRUE(root()->rename("a", *a, *root(), "b", b.get(), 0).ok());
    EXPECT_EQ(b->link_count, 0u);
    EXPECT_TRUE(root()->lookup("b").value() == a);
    ASSERT_TRUE(root()->rename("b", *a, *d, "inside", nullptr, 0).ok());
    EXPECT_TRUE(d->lookup("inside").value() == a);
    RefPtr<Inode> c = make("c");
    ASSERT_TRUE(d->rename("inside", *a, *root(), "c", c.get(), RENAME_EXCHANGE).ok());
    EXPECT_TRUE(d->lookup("inside").value() == c);
    EXPECT_TRUE(root()->lookup("c").value() == a);
    RefPtr<Inode> e = make("e", S_IFDIR | 0755);
    EXPECT_EQ(root()->rename("e", *e, *root(), "d", d.get(), 0).error_code(), ENOTEMPTY);
    ASSERT_TRUE(root()->rename("e", *e, *d, "e", nullptr, 0).ok());
    EXPECT_EQ(root()->link_count, 3u);
    EXPECT_EQ(d->link_count, 3u);
    // A directory for a file, across directories.
    ASSERT_TRUE(d->rename("e", *e, *root(), "c", a.get(), RENAME_EXCHANGE).ok());
    EXPECT_EQ(root()->link_count, 4u);
    EXPECT_EQ(d->link_count, 2u);
    EXPECT_EQ(list(*root()), (std::set<std::string>{"c", "d"}));
}

TEST_F(TmpfsTest, ManyNamesAreFoundAndListed) {
    std::set<std::string> expected;
    for (int i = 0; i < 3000; i++) {
        make("name" + std::to_string(i));
        expected.insert("name" + std::to_string(i));
    }
    for (int i = 0; i < 3000; i += 3) {
        std::string name = "name" + std::to_string(i);
        RefPtr<Inode> inode = root()->lookup(name).release_value();
        ASSERT_TRUE(root()->unlink(name, *inode).ok());
        expected.erase(name);
    }
    EXPECT_EQ(list(*root()), expected);
}

TEST_F(TmpfsTest, KeepsExtendedAttributes) {
    RefPtr<Inode> file = make("file");
    EXPECT_EQ(file->set_xattr("user.x", "v", 1, 0).error_code(), EOPNOTSUPP);
    EXPECT_EQ(file->get_xattr("trusted.x", nullptr, 0).error_code(), ENODATA);
    ASSERT_TRUE(file->set_xattr("trusted.x", "value", 5, XATTR_CREATE).ok());
    EXPECT_EQ(file->set_xattr("trusted.x", "v", 1, XATTR_CREATE).error_code(), EEXIST);
    EXPECT_EQ(file->set_xattr("trusted.y", "v", 1, XATTR_REPLACE).error_code(), ENODATA);
    ASSERT_TRUE(file->set_xattr("security.y", "", 0, 0).ok());
    char value[16];
    EXPECT_EQ(*file->get_xattr("trusted.x", value, sizeof(value)), 5u);
    EXPECT_EQ(std::string(value, 5), "value");
    EXPECT_EQ(file->get_xattr("trusted.x", value, 4).error_code(), ERANGE);
    EXPECT_EQ(*file->list_xattrs(nullptr, 0), sizeof("trusted.x") + sizeof("security.y"));
    ASSERT_TRUE(file->remove_xattr("trusted.x").ok());
    EXPECT_EQ(file->remove_xattr("trusted.x").error_code(), ENODATA);
}

class TmpfsOverErofsTest : public TmpfsTest {
  protected:
    TmpfsOverErofsTest() {
        tree_.write("etc/config", "from the image");
        tree_.write("etc/other", "other");
        tree_.write("big", std::string(10000, 'i'));
        std::filesystem::create_hard_link(tree_.path() / "big", tree_.path() / "etc/big");
        std::filesystem::create_symlink("etc/config", tree_.path() / "link");
        image_.emplace(tree_.path());
        file_system_->set_origin(*ErofsImage::open(image_->bytes()), image_->data(),
                                 reinterpret_cast<PhysAddr>(image_->data()));
    }
    RefPtr<Inode> find(Inode& directory, std::string_view name) {
        auto found = directory.lookup(name);
        EXPECT_TRUE(found.ok()) << name;
        return found.release_value();
    }

    TemporaryFolder tree_;
    std::optional<TestImage> image_;
};

TEST_F(TmpfsOverErofsTest, ShowsTheImageWithoutMemory) {
    RefPtr<Inode> etc = find(*root(), "etc");
    EXPECT_EQ(read(*find(*etc, "config"), 0, 100), "from the image");
    EXPECT_EQ(list(*etc), (std::set<std::string>{"big", "config", "other"}));
    EXPECT_EQ(list(*root()), (std::set<std::string>{"big", "etc", "link"}));
    LinkTarget target = find(*root(), "link")->read_link().release_value();
    EXPECT_EQ(target.text, "etc/config");
    EXPECT_EQ(root()->lookup("absent").error_code(), ENOENT);
    // Both names of a file are one file.
    EXPECT_TRUE(find(*root(), "big") == find(*etc, "big"));
    RefPtr<Inode> big = find(*root(), "big");
    PhysAddr frame = big->page(0, false).release_value();
    EXPECT_EQ(phys_to_virt<char>(frame)[0], 'i');
    EXPECT_EQ(frames_in_use(), frames_before_);
    EXPECT_EQ(big->blocks(), 24u);
}

TEST_F(TmpfsOverErofsTest, CopiesWhatIsWritten) {
    RefPtr<Inode> big = find(*root(), "big");
    EXPECT_EQ(write(*big, 5000, "NEW"), 3);
    EXPECT_EQ(read(*big, 4998, 7), "iiNEWii");
    EXPECT_EQ(read(*big, 0, 20000), std::string(5000, 'i') + "NEW" + std::string(4997, 'i'));
    EXPECT_EQ(file_system_->statistics().free_blocks, 63u);
    EXPECT_EQ(big->blocks(), 24u);
    // The image itself is as it was.
    EXPECT_EQ(read(*file_system_->make_origin_inode(big->number).release_value(), 4998, 7),
              "iiNEWii");
    EXPECT_EQ(write(*big, 12000, "end"), 3);
    EXPECT_EQ(read(*big, 9998, 6), std::string("ii\0\0\0\0", 6));
}

TEST_F(TmpfsOverErofsTest, TruncationForgetsTheImage) {
    RefPtr<Inode> big = find(*root(), "big");
    ASSERT_TRUE(big->truncate(4100).ok());
    ASSERT_TRUE(big->truncate(9000).ok());
    EXPECT_EQ(read(*big, 0, 9000), std::string(4100, 'i') + std::string(4900, '\0'));
    ASSERT_TRUE(big->allocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096).ok());
    EXPECT_EQ(read(*big, 0, 4100), std::string(4096, '\0') + "iiii");
    EXPECT_EQ(*big->seek_data(0, false), 4096u);
}

TEST_F(TmpfsOverErofsTest, NamesCanBeChanged) {
    RefPtr<Inode> etc = find(*root(), "etc");
    RefPtr<Inode> config = find(*etc, "config");
    ASSERT_TRUE(etc->unlink("config", *config).ok());
    EXPECT_EQ(etc->lookup("config").error_code(), ENOENT);
    ASSERT_TRUE(etc->create("new", NewInode{.mode = S_IFREG}).ok());
    EXPECT_EQ(list(*etc), (std::set<std::string>{"big", "new", "other"}));
    EXPECT_EQ(read(*config, 0, 100), "from the image");  // it is still open
    RefPtr<Inode> other = find(*etc, "other");
    ASSERT_TRUE(etc->rename("other", *other, *root(), "moved", nullptr, 0).ok());
    EXPECT_EQ(read(*find(*root(), "moved"), 0, 100), "other");
    EXPECT_EQ(root()->remove_directory("etc", *etc).error_code(), ENOTEMPTY);
}

}  // namespace
}  // namespace coracle
