#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace coracle {

// A folder for one test, with a file tree that the test makes.
class TemporaryFolder {
  public:
    TemporaryFolder() : path_(testing::TempDir() + "coracle-XXXXXX") {
        if (!mkdtemp(path_.data())) throw std::runtime_error("mkdtemp");
    }
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::string& path() const { return path_; }

    // The path is inside the folder and starts with /. Parents are made.
    std::string file(const std::string& path, const std::string& content, mode_t mode = 0644) {
        std::string full = path_ + path;
        std::filesystem::create_directories(std::filesystem::path(full).parent_path());
        std::ofstream(full, std::ios::binary) << content;
        chmod(full.c_str(), mode);
        return full;
    }
    void link(const std::string& path, const std::string& target) {
        std::string full = path_ + path;
        std::filesystem::create_directories(std::filesystem::path(full).parent_path());
        std::filesystem::create_symlink(target, full);
    }
    void folder(const std::string& path) { std::filesystem::create_directories(path_ + path); }

  private:
    std::string path_;
};

}  // namespace coracle
