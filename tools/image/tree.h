// A file tree that is looked at the way a program with that tree as its root would: the host
// itself, a --rootfs folder, or one that a test made.
#pragma once

#include <sys/stat.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace coracle {

// Where a path leads once its symbolic links are followed. All paths are inside the tree.
struct Resolved {
    std::string path;                // Without links; need not exist when `found` is false.
    std::vector<std::string> links;  // Each symbolic link that was crossed, in order.
    bool found = false;
    int error = 0;  // When not found: ENOENT, ENOTDIR, ELOOP, EACCES.
    struct stat info {};
};

class Tree {
  public:
    // "" or "/" is the host.
    explicit Tree(std::string root = "");

    // The host's path of a path inside the tree (links are not followed).
    std::string host(std::string_view path) const;

    // Follows links as the kernel would, `..` and links to absolute paths inside the tree. With
    // `follow_last` false a link at the end is the result itself.
    Resolved resolve(std::string_view path, bool follow_last = true) const;

    std::optional<struct stat> lstat(std::string_view path) const;
    std::optional<struct stat> stat(std::string_view path) const;
    std::optional<std::string> read_link(std::string_view path) const;
    std::optional<std::string> read_file(std::string_view path) const;
    // Names in a directory, sorted, without . and ..; empty when it cannot be read.
    std::vector<std::string> list(std::string_view path) const;

  private:
    std::string root_;
};

// "/a/b" of "/a/b/c"; "/" of "/a".
std::string parent_path(std::string_view path);
std::string_view base_name(std::string_view path);
// Collapses //, . and .. of an absolute path by its text alone.
std::string normal_path(std::string_view path);

// The whole of a file, or nothing.
std::optional<std::string> read_host_file(const std::string& path);

}  // namespace coracle
