#include "tools/image/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <memory>

#include "tools/support/unique_fd.h"

namespace coracle {
namespace {

constexpr int kMaxLinks = 40;  // As Linux: MAXSYMLINKS.

void push_front_components(std::deque<std::string>& parts, std::string_view path) {
    std::vector<std::string> found;
    while (!path.empty()) {
        size_t slash = path.find('/');
        std::string_view part = path.substr(0, slash);
        if (!part.empty() && part != ".") found.emplace_back(part);
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    }
    parts.insert(parts.begin(), found.begin(), found.end());
}

}  // namespace

std::string parent_path(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string_view::npos ? "/" : std::string(path.substr(0, slash));
}

std::string_view base_name(std::string_view path) {
    size_t slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string normal_path(std::string_view path) {
    std::deque<std::string> parts;
    push_front_components(parts, path);
    std::vector<std::string> kept;
    for (std::string& part : parts) {
        if (part != "..") {
            kept.push_back(std::move(part));
        } else if (!kept.empty()) {
            kept.pop_back();
        }
    }
    std::string result;
    for (const std::string& part : kept) result += "/" + part;
    return result.empty() ? "/" : result;
}

std::optional<std::string> read_host_file(const std::string& path) {
    UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid()) return std::nullopt;
    struct stat info;
    std::string content;
    if (fstat(fd.get(), &info) == 0 && info.st_size > 0) {
        content.reserve(static_cast<size_t>(info.st_size));
    }
    char buffer[65536];
    ssize_t size;
    while ((size = read(fd.get(), buffer, sizeof(buffer))) > 0) {
        content.append(buffer, static_cast<size_t>(size));
    }
    if (size < 0) return std::nullopt;
    return content;
}

Tree::Tree(std::string root) : root_(std::move(root)) {
    while (!root_.empty() && root_.back() == '/') root_.pop_back();
}

std::string Tree::host(std::string_view path) const {
    return root_ + std::string(path);
}

std::optional<struct stat> Tree::lstat(std::string_view path) const {
    struct stat info;
    if (::lstat(host(path).c_str(), &info) != 0) return std::nullopt;
    return info;
}

std::optional<struct stat> Tree::stat(std::string_view path) const {
    Resolved resolved = resolve(path);
    if (!resolved.found) return std::nullopt;
    return resolved.info;
}

std::optional<std::string> Tree::read_link(std::string_view path) const {
    char target[PATH_MAX];
    ssize_t size = readlink(host(path).c_str(), target, sizeof(target));
    if (size < 0) return std::nullopt;
    return std::string(target, static_cast<size_t>(size));
}

std::optional<std::string> Tree::read_file(std::string_view path) const {
    Resolved resolved = resolve(path);
    if (!resolved.found) return std::nullopt;
    return read_host_file(host(resolved.path));
}

Resolved Tree::resolve(std::string_view path, bool follow_last) const {
    Resolved result;
    std::deque<std::string> left;
    push_front_components(left, path);
    std::string& at = result.path;  // "" is the root until the end.
    int links = 0;
    ::lstat(host("/").c_str(), &result.info);
    result.found = true;
    while (!left.empty()) {
        std::string part = std::move(left.front());
        left.pop_front();
        if (part == "..") {
            at = at.empty() ? at : at.substr(0, at.rfind('/'));
            continue;
        }
        std::string next = at + "/" + part;
        if (::lstat(host(next).c_str(), &result.info) != 0) {
            result.error = errno;
            result.found = false;
            at = next;
            break;
        }
        if (!S_ISLNK(result.info.st_mode) || (left.empty() && !follow_last)) {
            at = next;
            continue;
        }
        if (++links > kMaxLinks) {
            result.error = ELOOP;
            result.found = false;
            break;
        }
        result.links.push_back(next);
        std::string target = read_link(next).value_or("");
        push_front_components(left, target);
        if (target.starts_with('/')) at.clear();
    }
    if (at.empty()) at = "/";
    return result;
}

std::vector<std::string> Tree::list(std::string_view path) const {
    std::vector<std::string> names;
    std::unique_ptr<DIR, int (*)(DIR*)> directory(opendir(host(path).c_str()), closedir);
    if (!directory) return names;
    while (dirent* entry = readdir(directory.get())) {
        std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(std::move(name));
    }
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace coracle
