// /proc/PID: what a process tells of itself. Its numbers are in process_status.cpp.
#include <dirent.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "kernel-min/sched/scheduler.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/net/proc_net.h"

namespace coracle {
namespace {

// Only the calling process's memory can be copied; that of another will need its page table.
bool has_own_memory(const PseudoContext& about) {
    return about.process == current_process() && !is_zombie(about);
}

Result<void> add_memory(TextBuffer& to, const PseudoContext& about, uint64_t start, uint64_t end) {
    char bytes[256];
    while (has_own_memory(about) && start < end) {
        size_t part = std::min<uint64_t>(end - start, sizeof(bytes));
        size_t copied = copy_from_user_partial(bytes, start, part);
        to.add({bytes, copied});
        if (copied < part) break;
        start += part;
    }
    return {};
}

Result<void> show_cmdline(TextBuffer& to, const PseudoContext& about) {
    return add_memory(to, about, about.process->arguments_start, about.process->arguments_end);
}
Result<void> show_environ(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return Error(ESRCH);
    return add_memory(to, about, about.process->environment_start, about.process->environment_end);
}
Result<void> show_auxv(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) return Error(ESRCH);
    return add_memory(to, about, about.process->auxv_start, about.process->auxv_end);
}

Result<void> show_comm(TextBuffer& to, const PseudoContext& about) {
    to.print("%s\n", thread_name(*about.thread));
    return {};
}
Result<void> store_comm(std::string_view text, const PseudoContext& about) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    char (&name)[16] = thread_name(*about.thread);
    memset(name, 0, sizeof(name));
    memcpy(name, text.data(), std::min(text.size(), sizeof(name) - 1));
    return {};
}

Result<void> show_limits(TextBuffer& to, const PseudoContext& about) {
    constexpr struct {
        const char *name, *unit;
    } kRows[kResourceCount] = {
        {"Max cpu time", "seconds"},        {"Max file size", "bytes"},
        {"Max data size", "bytes"},         {"Max stack size", "bytes"},
        {"Max core file size", "bytes"},    {"Max resident set", "bytes"},
        {"Max processes", "processes"},     {"Max open files", "files"},
        {"Max locked memory", "bytes"},     {"Max address space", "bytes"},
        {"Max file locks", "locks"},        {"Max pending signals", "signals"},
        {"Max msgqueue size", "bytes"},     {"Max nice priority", ""},
        {"Max realtime priority", ""},      {"Max realtime timeout", "us"},
    };
    to.print("%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (unsigned i = 0; i < kResourceCount; i++) {
        const ResourceLimit& limit = about.process->limits[static_cast<Resource>(i)];
        to.print("%-25s ", kRows[i].name);
        for (uint64_t value : {limit.soft, limit.hard}) {
            if (value == kUnlimited) {
                to.print("%-20s ", "unlimited");
            } else {
                to.print("%-20lu ", value);
            }
        }
        if (*kRows[i].unit) {
            to.print("%-10s\n", kRows[i].unit);
        } else {
            to.print("\n");
        }
    }
    return {};
}

template <int64_t value>
Result<void> show_number(TextBuffer& to, const PseudoContext&) {
    to.print("%ld\n", value);
    return {};
}

Result<void> show_wchan(TextBuffer& to, const PseudoContext&) {
    to.add("0");
    return {};
}
Result<void> show_cgroup(TextBuffer& to, const PseudoContext&) {
    to.add("0::/\n");
    return {};
}
Result<void> show_io(TextBuffer& to, const PseudoContext&) {
    to.add("rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
           "cancelled_write_bytes: 0\n");
    return {};
}
Result<void> show_id_map(TextBuffer& to, const PseudoContext&) {
    to.print("%10u %10u %10u\n", 0u, 0u, 4294967295u);
    return {};
}
Result<void> show_personality(TextBuffer& to, const PseudoContext& about) {
    to.print("%08x\n", about.process->personality);
    return {};
}

Result<LinkTarget> jump_to(const Path& path) {
    LinkTarget target;
    target.jump = path;
    return target;
}
Result<LinkTarget> link_cwd(const PseudoContext& about) {
    if (is_zombie(about)) return Error(ENOENT);
    return jump_to(about.process->file_system->cwd);
}
Result<LinkTarget> link_root(const PseudoContext& about) {
    if (is_zombie(about)) return Error(ENOENT);
    return jump_to(about.process->file_system->root);
}
Result<LinkTarget> link_exe(const PseudoContext& about) {
    // The path by which it was executed leads there; FIXME: keep the place itself, so that a
    // renamed or removed program is still found.
    if (is_zombie(about) || about.process->executable_path[0] == '\0') return Error(ENOENT);
    RefPtr<File> file = TRY(open_path(about.process->executable_path, O_PATH));
    return jump_to(file->path());
}

// /proc/PID/task: the threads.
Result<RefPtr<Inode>> lookup_task(const PseudoInode& directory, std::string_view name) {
    const PseudoContext about = TRY(directory.context());
    const int64_t tid = parse_number(name);
    if (tid <= 0 || tid > kMaxTid) return Error(ENOENT);
    const Thread* thread = find_thread(static_cast<uint32_t>(tid));
    if (!thread || thread->process != about.process) return Error(ENOENT);
    return directory.make_child(kThreadDirectory, thread->tid);
}

// In the order of their numbers, which are their positions.
Result<void> list_tasks(const PseudoInode& directory, uint64_t position,
                        DirectoryVisitor& visitor) {
    constexpr uint64_t kFirst = 2;
    const PseudoContext about = TRY(directory.context());
    for (;;) {
        const Thread* next = nullptr;
        for (const Thread& thread : about.process->threads) {
            if (thread.tid + kFirst >= position && (!next || thread.tid < next->tid)) {
                next = &thread;
            }
        }
        if (!next) return {};
        TextBuffer name;
        name.print("%u", next->tid);
        position = next->tid + kFirst + 1;
        if (!visitor.visit(name.text(), next->tid, DT_DIR, position)) return {};
    }
}

// A process's own come first, then what each thread has too, then the thread's own.
const PseudoEntry kFiles[] = {
    PseudoEntry::dynamic("task", lookup_task, list_tasks),
    PseudoEntry::file("stat", show_process_stat),
    PseudoEntry::dynamic("fd", lookup_descriptor, list_descriptors, 0500),
    PseudoEntry::dynamic("fdinfo", lookup_descriptor_info, list_descriptors),
    PseudoEntry::file("auxv", show_auxv, 0400),
    PseudoEntry::file("cgroup", show_cgroup),
    PseudoEntry::file("cmdline", show_cmdline),
    PseudoEntry::file("comm", show_comm, 0644, store_comm),
    PseudoEntry::symlink("cwd", link_cwd),
    PseudoEntry::file("environ", show_environ, 0400),
    PseudoEntry::symlink("exe", link_exe),
    PseudoEntry::file("gid_map", show_id_map),
    PseudoEntry::file("io", show_io, 0400),
    PseudoEntry::file("limits", show_limits),
    PseudoEntry::file("maps", show_maps),
    PseudoEntry::file("mountinfo", show_mountinfo),
    PseudoEntry::file("mounts", show_mounts),
    net::kProcNetDirectory,
    PseudoEntry::file("oom_adj", show_number<0>),
    PseudoEntry::file("oom_score", show_number<0>),
    PseudoEntry::file("oom_score_adj", show_number<0>),
    PseudoEntry::file("personality", show_personality, 0400),
    PseudoEntry::symlink("root", link_root),
    PseudoEntry::file("smaps", show_smaps),
    PseudoEntry::file("smaps_rollup", show_smaps_rollup),
    PseudoEntry::file("statm", show_statm),
    PseudoEntry::file("status", show_status),
    PseudoEntry::file("uid_map", show_id_map),
    PseudoEntry::file("wchan", show_wchan),
    PseudoEntry::file("stat", show_thread_stat),
};
constexpr size_t kProcessesOwn = 2, kThreadsOwn = 1;

constexpr PseudoEntry directory_of(const PseudoEntry* files, size_t count) {
    return {.name = "", .mode = S_IFDIR | 0555, .children = files, .child_count = count};
}

}  // namespace

constinit const PseudoEntry kProcessDirectory =
    directory_of(kFiles, std::size(kFiles) - kThreadsOwn);
constinit const PseudoEntry kThreadDirectory =
    directory_of(kFiles + kProcessesOwn, std::size(kFiles) - kProcessesOwn);

}  // namespace coracle
