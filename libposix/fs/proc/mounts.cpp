// /proc/PID/mounts and mountinfo (man 5 proc_pid_mountinfo).
#include "libposix/fs/device_node.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

constexpr std::string_view kEscaped = " \t\n\\#";

// False if the process's root does not reach it.
bool add_mount_point(TextBuffer& to, Mount& mount, const PseudoContext& about) {
    char path[4096];
    Path top = {RefPtr<Mount>(&mount), mount.root()};
    Result<size_t> length =
        format_path(top, about.process->file_system->root, path, sizeof(path));
    if (!length.ok() || std::string_view(path, *length).starts_with("(unreachable)")) return false;
    to.add_escaped({path, *length}, kEscaped);
    return true;
}

void add_options(TextBuffer& to, const Mount& mount) {
    to.add(mount.flags() & Mount::kReadOnly ? "ro" : "rw");
    if (mount.flags() & Mount::kNoSuid) to.add(",nosuid");
    if (mount.flags() & Mount::kNoDev) to.add(",nodev");
    if (mount.flags() & Mount::kNoExec) to.add(",noexec");
    to.add(",relatime");
}

}  // namespace

Result<void> show_mounts(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return Error(EINVAL);
    for (Mount* mount = Mount::first(); mount; mount = mount->next()) {
        const FileSystem& file_system = mount->file_system();
        TextBuffer point;
        if (!add_mount_point(point, *mount, about)) continue;
        to.print("%s ", file_system.type_name());
        to.add(point.text());
        to.print(" %s ", file_system.type_name());
        add_options(to, *mount);
        to.print("%s 0 0\n", file_system.options());
    }
    return {};
}

Result<void> show_mountinfo(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return Error(EINVAL);
    for (Mount* mount = Mount::first(); mount; mount = mount->next()) {
        const FileSystem& file_system = mount->file_system();
        TextBuffer point;
        if (!add_mount_point(point, *mount, about)) continue;
        const Mount* parent = mount->point().mount.get();
        to.print("%u %u %u:%u / ", mount->id(), parent ? parent->id() : 1,
                 device_major(file_system.device), device_minor(file_system.device));
        to.add(point.text());
        to.add(" ");
        add_options(to, *mount);
        to.print(" - %s %s %s%s\n", file_system.type_name(), file_system.type_name(),
                 file_system.read_only ? "ro" : "rw", file_system.options());
    }
    return {};
}

}  // namespace coracle
