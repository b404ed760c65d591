// An EROFS image that mkfs.erofs makes from a folder, in page-aligned memory.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "libposix/fs/erofs_image.h"

namespace coracle::test {

// A folder of its own, removed at the end.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    const std::filesystem::path& path() const { return path_; }
    void write(const std::string& name, const std::string& text) const;

  private:
    std::filesystem::path path_;
};

class TestImage {
  public:
    // `options`: further ones of mkfs.erofs.
    explicit TestImage(const std::filesystem::path& tree, const std::string& options = "");
    TestImage(const TestImage&) = delete;
    ~TestImage();
    Bytes bytes() const { return {memory_, size_}; }
    std::byte* data() { return memory_; }

  private:
    std::byte* memory_ = nullptr;
    size_t size_ = 0;
};

// The whole of a file in the image.
std::string read_node(const ErofsImage& image, const ErofsImage::Node& node);

}  // namespace coracle::test
