// The kinds of file system there are, as /proc/filesystems and sysfs(2) list them.
#pragma once

#include <span>
#include <string_view>

namespace coracle {

struct FileSystemType {
    std::string_view name;  // a literal: a NUL follows
    bool needs_device;
};

inline std::span<const FileSystemType> file_system_types() {
    static constexpr FileSystemType kTypes[] = {
        {"sysfs", false}, {"tmpfs", false}, {"proc", false}, {"devtmpfs", false},
        {"pipefs", false}, {"erofs", true},
    };
    return kTypes;
}

}  // namespace coracle
