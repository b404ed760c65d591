#include "libposix/fs/tests/test_image.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace coracle::test {

namespace fs = std::filesystem;

TemporaryFolder::TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "coracle-fs-XXXXXX").string();
    path_ = mkdtemp(name.data());
}
TemporaryFolder::~TemporaryFolder() { fs::remove_all(path_); }

void TemporaryFolder::write(const std::string& name, const std::string& text) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
}

TestImage::TestImage(const fs::path& tree, const std::string& options) {
    TemporaryFolder folder;
    fs::path file = folder.path() / "image";
    std::string command = "mkfs.erofs --quiet " + options + " " + file.string() + " " +
                          tree.string() + " > /dev/null";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    std::ifstream in(file, std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(in)), {});
    size_ = bytes.size();
    memory_ = static_cast<std::byte*>(aligned_alloc(4096, (size_ + 4095) & ~size_t{4095}));
    bytes.copy(reinterpret_cast<char*>(memory_), size_);
}
TestImage::~TestImage() { free(memory_); }

std::string read_node(const ErofsImage& image, const ErofsImage::Node& node) {
    std::string text;
    for (uint64_t index = 0; index * 4096 < node.size; index++) {
        auto page = image.page(node, index);
        if (!page.ok()) {
            ADD_FAILURE() << "page " << index << ": errno " << page.error_code();
            return text;
        }
        size_t length = std::min<uint64_t>(4096, node.size - index * 4096);
        text.append(reinterpret_cast<const char*>(page->data()), page->size());
        text.append(length - page->size(), '\0');  // a hole
    }
    return text;
}

}  // namespace coracle::test
