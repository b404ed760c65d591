#include "tools/image/erofs_image.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "tools/support/error.h"
#include "tools/support/unique_fd.h"

namespace coracle {
namespace {

// The image's own time, the last second of the year 9999: no file's time may be later. (The option
// -T would give every file this time.)
constexpr char kBuildTime[] = "SOURCE_DATE_EPOCH=253402300799";

[[noreturn]] void fail(const std::string& path) {
    throw CommandError(kExitOwnFailure, fmt::format("{}: {}", path, strerror(errno)));
}

void write_all(int fd, std::string_view bytes, const std::string& path) {
    while (!bytes.empty()) {
        ssize_t size = write(fd, bytes.data(), bytes.size());
        if (size < 0) fail(path);
        bytes.remove_prefix(static_cast<size_t>(size));
    }
}

void copy_bytes(int from, int to, uint64_t size, const std::string& path) {
    if (ioctl(to, FICLONE, from) == 0) return;  // Shares the blocks where the file system can.
    while (size > 0) {
        ssize_t copied = copy_file_range(from, nullptr, to, nullptr, size, 0);
        if (copied == 0) return;  // Shorter than it was when the manifest was made.
        if (copied > 0) {
            size -= static_cast<uint64_t>(copied);
            continue;
        }
        if (errno != EXDEV && errno != EINVAL && errno != EOPNOTSUPP && errno != ENOSYS) fail(path);
        char buffer[65536];
        ssize_t got;
        while ((got = read(from, buffer, sizeof(buffer))) > 0) {
            write_all(to, {buffer, static_cast<size_t>(got)}, path);
        }
        if (got < 0) fail(path);
        return;
    }
}

void set_attributes(const std::string& path, const Entry& entry, bool as_root) {
    bool link = entry.type == Entry::Type::kSymlink;
    if (as_root && lchown(path.c_str(), entry.uid, entry.gid) != 0) fail(path);
    if (!link && chmod(path.c_str(), entry.mode) != 0) fail(path);
    timespec time{entry.mtime_ns / 1'000'000'000, entry.mtime_ns % 1'000'000'000};
    timespec times[2] = {time, time};
    if (utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) != 0) fail(path);
}

void stage_file(const std::string& path, const Entry& entry) {
    UniqueFd to(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!to.valid()) fail(path);
    if (entry.source.empty()) {
        write_all(to.get(), entry.content, path);
        return;
    }
    UniqueFd from(open(entry.source.c_str(), O_RDONLY | O_CLOEXEC));
    if (!from.valid()) fail(entry.source);
    copy_bytes(from.get(), to.get(), entry.size, path);
}

void stage(const Manifest& manifest, const std::string& folder, bool as_root) {
    for (const auto& [guest_path, entry] : manifest.entries()) {
        std::string path = folder + guest_path;
        switch (entry.type) {
            case Entry::Type::kDirectory:
                if (mkdir(path.c_str(), 0700) != 0) fail(path);
                continue;
            case Entry::Type::kSymlink:
                if (symlink(entry.content.c_str(), path.c_str()) != 0) fail(path);
                break;
            case Entry::Type::kFile:
                stage_file(path, entry);
                break;
        }
        set_attributes(path, entry, as_root);
    }
    // Folders last and innermost first: filling them changes their times, and may be forbidden.
    const auto& entries = manifest.entries();
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        if (entry->second.type == Entry::Type::kDirectory) {
            set_attributes(folder + entry->first, entry->second, as_root);
        }
    }
    Entry root;
    root.mode = 0755;
    set_attributes(folder, root, as_root);
}

void run_mkfs(const std::string& folder, const std::string& output, bool as_root) {
    std::vector<std::string> command = {"mkfs.erofs",
                                        "--quiet",
                                        "-d1",
                                        "-x-1",
                                        "-Enoinline_data",
                                        "--preserve-mtime",
                                        "-U00000000-0000-0000-0000-000000000000"};
    if (!as_root) command.push_back("--all-root");
    command.push_back(output);
    command.push_back(folder);
    std::vector<char*> argv;
    argv.reserve(command.size() + 1);
    for (std::string& word : command) argv.push_back(word.data());
    argv.push_back(nullptr);
    std::vector<char*> environment = {const_cast<char*>(kBuildTime)};
    for (char** variable = environ; *variable; ++variable) environment.push_back(*variable);
    environment.push_back(nullptr);

    // Only its complaints are of interest, and those go to standard error.
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    pid_t pid;
    int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environment.data());
    posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT) {
        throw CommandError(kExitOwnFailure,
                           "mkfs.erofs is not installed; apt-get install erofs-utils");
    }
    int status = -1;
    if (error != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
        throw CommandError(
            kExitOwnFailure,
            fmt::format("mkfs.erofs failed{}", error ? fmt::format(": {}", strerror(error)) : ""));
    }
}

}  // namespace

void make_erofs_image(const Manifest& manifest, const std::string& work_folder,
                      const std::string& output) {
    std::string folder = work_folder + "/root";
    if (mkdir(folder.c_str(), 0700) != 0) fail(folder);
    bool as_root = geteuid() == 0;
    stage(manifest, folder, as_root);
    run_mkfs(folder, output, as_root);
}

}  // namespace coracle
