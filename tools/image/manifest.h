// What a root image is to hold: one entry for each guest path, and where its bytes come from.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "tools/image/tree.h"

namespace coracle {

// Modification time of what has none on the host (2024-01-01): images stay reproducible.
constexpr int64_t kMadeTimeNs = 1'704'067'200'000'000'000;

struct Entry {
    enum class Type : uint8_t { kDirectory, kFile, kSymlink };

    Type type = Type::kFile;
    mode_t mode = 0644;  // Permission bits.
    uid_t uid = 0;
    gid_t gid = 0;
    int64_t mtime_ns = kMadeTimeNs;
    uint64_t size = 0;
    uint64_t inode = 0;   // Of the host's file; 0 for what is made.
    std::string source;   // Host path of a file's bytes; empty: `content` is the file.
    std::string content;  // A made file's bytes, or a link's target.
};

class Manifest {
  public:
    // By guest path, without a slash at the end and without "/" itself. Every path's parent is
    // there, and is a directory.
    const std::map<std::string, Entry>& entries() const { return entries_; }
    bool has(const std::string& path) const { return entries_.contains(path); }

    // Adds what the tree has at `path`, with the links on the way and, when it is itself a link,
    // what that leads to. Returns the entry's final path, or "" when the tree has no such file, it
    // cannot be read or is neither a file nor a directory. A directory comes without its content.
    std::string add(const Tree& tree, std::string_view path);
    // The same, but a link at the end is only the link.
    std::string add_without_following(const Tree& tree, std::string_view path);
    // A host folder or file as `guest_path`, with all that is in it. Links stay links.
    void add_copy(const std::string& host_path, const std::string& guest_path);

    void add_made_file(const std::string& path, std::string content, mode_t mode = 0644);
    void add_made_directory(const std::string& path, mode_t mode = 0755);
    void add_made_symlink(const std::string& path, const std::string& target);

    // Where a path's parent directories lead by the links that are in the manifest.
    std::string resolve(std::string_view path) const;

    uint64_t total_bytes() const;
    // 32 hexadecimal digits that change with anything in the manifest.
    std::string hash() const;

    // Host paths whose change makes the manifest stale: files, links, and folders copied whole.
    const std::set<std::string>& watched() const { return watched_; }
    // Host paths that could not be read and were left out.
    const std::set<std::string>& unreadable() const { return unreadable_; }

  private:
    void add_resolved(const Tree& tree, const Resolved& resolved);
    void add_parents(const Tree* tree, const std::string& path);
    bool put(const std::string& path, const std::string& host_path, const struct stat& info);

    std::map<std::string, Entry> entries_;
    std::set<std::string> watched_;
    std::set<std::string> unreadable_;
};

}  // namespace coracle
