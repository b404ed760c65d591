#include "tools/image/manifest.h"

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

namespace coracle {
namespace {

// Changes when the same manifest is made into another image.
constexpr char kImageFormat[] = "2\n";

int64_t modification_time_ns(const struct stat& info) {
    return info.st_mtim.tv_sec * 1'000'000'000LL + info.st_mtim.tv_nsec;
}

}  // namespace

bool Manifest::put(const std::string& path, const std::string& host_path, const struct stat& info) {
    if (path == "/" || entries_.contains(path)) return true;
    Entry entry;
    entry.mode = info.st_mode & 07777;
    entry.uid = info.st_uid;
    entry.gid = info.st_gid;
    if (S_ISDIR(info.st_mode)) {
        // A directory's own time changes with neighbours that are not in the image.
        entry.type = Entry::Type::kDirectory;
    } else if (S_ISLNK(info.st_mode)) {
        char target[PATH_MAX];
        ssize_t size = readlink(host_path.c_str(), target, sizeof(target));
        if (size < 0) return false;
        entry.type = Entry::Type::kSymlink;
        entry.content.assign(target, static_cast<size_t>(size));
        entry.mtime_ns = modification_time_ns(info);
    } else if (S_ISREG(info.st_mode)) {
        if (access(host_path.c_str(), R_OK) != 0) {
            unreadable_.insert(host_path);
            return false;
        }
        entry.type = Entry::Type::kFile;
        entry.source = host_path;
        entry.size = static_cast<uint64_t>(info.st_size);
        entry.inode = info.st_ino;
        entry.mtime_ns = modification_time_ns(info);
    } else {
        return false;
    }
    if (entry.type != Entry::Type::kDirectory) watched_.insert(host_path);
    entries_.emplace(path, std::move(entry));
    return true;
}

void Manifest::add_parents(const Tree* tree, const std::string& path) {
    for (size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        std::string parent = path.substr(0, slash);
        if (entries_.contains(parent)) continue;
        auto info = tree ? tree->lstat(parent) : std::nullopt;
        if (info && S_ISDIR(info->st_mode)) {
            put(parent, tree->host(parent), *info);
        } else {
            Entry entry;
            entry.type = Entry::Type::kDirectory;
            entry.mode = 0755;
            entries_.emplace(parent, std::move(entry));
        }
    }
}

void Manifest::add_resolved(const Tree& tree, const Resolved& resolved) {
    for (const std::string& link : resolved.links) {
        add_parents(&tree, link);
        if (auto info = tree.lstat(link)) put(link, tree.host(link), *info);
    }
}

std::string Manifest::add(const Tree& tree, std::string_view path) {
    Resolved resolved = tree.resolve(path);
    if (!resolved.found) return "";
    add_resolved(tree, resolved);
    add_parents(&tree, resolved.path);
    auto info = tree.lstat(resolved.path);  // `..` may have been the last component.
    return info && put(resolved.path, tree.host(resolved.path), *info) ? resolved.path : "";
}

std::string Manifest::add_without_following(const Tree& tree, std::string_view path) {
    Resolved resolved = tree.resolve(path, false);
    if (!resolved.found) return "";
    add_resolved(tree, resolved);
    add_parents(&tree, resolved.path);
    auto info = tree.lstat(resolved.path);
    return info && put(resolved.path, tree.host(resolved.path), *info) ? resolved.path : "";
}

std::string Manifest::resolve(std::string_view path) const {
    std::string left = normal_path(path);
    for (int links = 0; links < 40; ++links) {
        bool followed = false;
        for (size_t slash = left.find('/', 1); slash != std::string::npos;
             slash = left.find('/', slash + 1)) {
            auto entry = entries_.find(left.substr(0, slash));
            if (entry == entries_.end() || entry->second.type != Entry::Type::kSymlink) continue;
            const std::string& target = entry->second.content;
            std::string base = target.starts_with('/') ? "" : parent_path(entry->first);
            left = normal_path(base + "/" + target + left.substr(slash));
            followed = true;
            break;
        }
        if (!followed) break;
    }
    return left;
}

void Manifest::add_copy(const std::string& host_path, const std::string& guest_path) {
    struct stat info;
    if (lstat(host_path.c_str(), &info) != 0) return;
    add_parents(nullptr, guest_path);
    if (guest_path != "/") {
        entries_.erase(guest_path);
        if (!put(guest_path, host_path, info)) return;
    }
    if (!S_ISDIR(info.st_mode)) return;
    watched_.insert(host_path);
    if (access(host_path.c_str(), R_OK | X_OK) != 0) {
        unreadable_.insert(host_path);
        return;
    }
    Tree folder(host_path);
    for (const std::string& name : folder.list("/")) {
        add_copy(host_path + "/" + name, (guest_path == "/" ? "" : guest_path) + "/" + name);
    }
}

void Manifest::add_made_file(const std::string& path, std::string content, mode_t mode) {
    add_parents(nullptr, path);
    Entry entry;
    entry.mode = mode;
    entry.size = content.size();
    entry.content = std::move(content);
    entries_[path] = std::move(entry);
}

void Manifest::add_made_directory(const std::string& path, mode_t mode) {
    add_parents(nullptr, path);
    auto [position, added] = entries_.try_emplace(path);
    if (!added) return;
    position->second.type = Entry::Type::kDirectory;
    position->second.mode = mode;
}

void Manifest::add_made_symlink(const std::string& path, const std::string& target) {
    add_parents(nullptr, path);
    Entry entry;
    entry.type = Entry::Type::kSymlink;
    entry.mode = 0777;
    entry.content = target;
    entries_[path] = std::move(entry);
}

uint64_t Manifest::total_bytes() const {
    uint64_t total = 0;
    for (const auto& [path, entry] : entries_) total += entry.size;
    return total;
}

std::string Manifest::hash() const {
    std::string text = kImageFormat;
    for (const auto& [path, entry] : entries_) {
        text += fmt::format("{} {} {} {:o} {} {} {} {} {} {} {}\n", path.size(), path,
                            static_cast<int>(entry.type), entry.mode, entry.uid, entry.gid,
                            entry.mtime_ns, entry.size, entry.inode, entry.content.size(),
                            entry.content);
    }
    XXH128_hash_t digest = XXH3_128bits(text.data(), text.size());
    return fmt::format("{:016x}{:016x}", digest.high64, digest.low64);
}

}  // namespace coracle
