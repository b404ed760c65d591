// /proc itself: the files about the machine, and a directory for each process.
#include <dirent.h>
#include <linux/magic.h>

#include "kernel-min/boot/boot_info.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/idle.h"
#include "libposix/fs/file_system_types.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/ipc/ipc.h"
#include "libposix/process/identity.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "libposix/time/cpu_time.h"

namespace coracle {
namespace {

Result<void> show_meminfo(TextBuffer& to, const PseudoContext&) {
    FrameStatistics frames = frame_statistics();
    uint64_t total = frames.total * (kPageSize / 1024), free = frames.free * (kPageSize / 1024);
    struct Row {
        const char* name;
        uint64_t kilobytes;
    };
    const Row rows[] = {
        {"MemTotal", total},      {"MemFree", free},         {"MemAvailable", free},
        {"Buffers", 0},           {"Cached", 0},             {"SwapCached", 0},
        {"Active", total - free}, {"Inactive", 0},           {"Active(anon)", total - free},
        {"Inactive(anon)", 0},    {"Active(file)", 0},       {"Inactive(file)", 0},
        {"Unevictable", 0},       {"Mlocked", 0},            {"SwapTotal", 0},
        {"SwapFree", 0},          {"Zswap", 0},              {"Zswapped", 0},
        {"Dirty", 0},             {"Writeback", 0},          {"AnonPages", total - free},
        {"Mapped", 0},            {"Shmem", 0},              {"KReclaimable", 0},
        {"Slab", 0},              {"SReclaimable", 0},       {"SUnreclaim", 0},
        {"KernelStack", 0},       {"PageTables", 0},         {"SecPageTables", 0},
        {"NFS_Unstable", 0},      {"Bounce", 0},             {"WritebackTmp", 0},
        {"CommitLimit", total / 2}, {"Committed_AS", total - free},
        {"VmallocTotal", 34359738367}, {"VmallocUsed", 0},   {"VmallocChunk", 0},
        {"Percpu", 0},            {"AnonHugePages", 0},      {"ShmemHugePages", 0},
        {"ShmemPmdMapped", 0},    {"FileHugePages", 0},      {"FilePmdMapped", 0},
    };
    for (const Row& row : rows) {
        size_t start = to.size();
        to.print("%s:", row.name);
        to.add_repeated(' ', 16 - (to.size() - start));
        to.print("%8lu kB\n", row.kilobytes);
    }
    to.add("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\n"
           "HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    return {};
}

// Of Linux's counters those that have a meaning without disks, which neither page nor swap.
Result<void> show_vmstat(TextBuffer& to, const PseudoContext&) {
    const FrameStatistics frames = frame_statistics();
    to.print("nr_free_pages %lu\nnr_anon_pages %lu\n", frames.free, frames.total - frames.free);
    to.add("nr_mapped 0\nnr_file_pages 0\nnr_dirty 0\nnr_writeback 0\npgpgin 0\npgpgout 0\n"
           "pswpin 0\npswpout 0\n");
    return {};
}

constexpr uint64_t kHundredthNs = 10'000'000;

uint64_t idle_hundredths(const Cpu& cpu) {
    return tsc_to_ns(idle_tsc_ticks(cpu)) / kHundredthNs;
}

Result<void> show_uptime(TextBuffer& to, const PseudoContext&) {
    const uint64_t up = monotonic_ns() / kHundredthNs;
    uint64_t idle = 0;
    for (unsigned i = 0; i < cpu_count; i++) idle += idle_hundredths(*cpus[i]);
    to.print("%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
    return {};
}

// User and system time are not told apart.
void add_cpu_times(TextBuffer& to, uint64_t up, uint64_t idle) {
    to.print("%lu 0 0 %lu 0 0 0 0 0 0\n", up > idle ? up - idle : 0, idle);
}

Result<void> show_stat(TextBuffer& to, const PseudoContext&) {
    const uint64_t up = monotonic_ns() / kHundredthNs;
    uint64_t idle = 0;
    for (unsigned i = 0; i < cpu_count; i++) idle += idle_hundredths(*cpus[i]);
    to.add("cpu  ");
    add_cpu_times(to, up * cpu_count, idle);
    for (unsigned i = 0; i < cpu_count; i++) {
        to.print("cpu%u ", i);
        add_cpu_times(to, up, idle_hundredths(*cpus[i]));
    }
    uint64_t boot_time = (realtime_ns() - monotonic_ns()) / kNsPerSecond;
    to.print("intr 0\nctxt 0\nbtime %lu\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n",
             boot_time);
    to.add("softirq 0 0 0 0 0 0 0 0 0 0 0\n");
    return {};
}

Result<void> show_loadavg(TextBuffer& to, const PseudoContext&) {
    to.print("0.00 0.00 0.00 1/1 %u\n", current_process()->pid);
    return {};
}

Result<void> show_version(TextBuffer& to, const PseudoContext&) {
    const struct utsname& name = system_name();
    to.print("%s version %s (coracle) (gcc) %s\n", name.sysname, name.release, name.version);
    return {};
}

Result<void> show_filesystems(TextBuffer& to, const PseudoContext&) {
    for (const FileSystemType& type : file_system_types()) {
        to.print("%s\t%s\n", type.needs_device ? "" : "nodev", type.name.data());
    }
    return {};
}

Result<void> show_command_line(TextBuffer& to, const PseudoContext&) {
    to.print("%s\n", boot_info.command_line);
    return {};
}

Result<void> show_devices(TextBuffer& to, const PseudoContext&) {
    to.add("Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n\nBlock devices:\n");
    return {};
}

Result<void> show_swaps(TextBuffer& to, const PseudoContext&) {
    to.add("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
    return {};
}

Result<void> show_interrupts(TextBuffer& to, const PseudoContext&) {
    to.add("            CPU0       \n");
    return {};
}

Result<LinkTarget> link_self(const PseudoContext&) {
    TextBuffer text;
    text.print("%u", current_process()->pid);
    TRY(text.status());
    return make_link_target(text.text());
}
Result<LinkTarget> link_thread_self(const PseudoContext&) {
    TextBuffer text;
    text.print("%u/task/%u", current_process()->pid, current_thread()->tid);
    TRY(text.status());
    return make_link_target(text.text());
}
Result<LinkTarget> link_mounts(const PseudoContext&) { return make_link_target("self/mounts"); }
Result<LinkTarget> link_net(const PseudoContext&) { return make_link_target("self/net"); }

template <void (*show)(TextBuffer&)>
Result<void> show_table(TextBuffer& to, const PseudoContext&) {
    show(to);
    return {};
}
constexpr PseudoEntry kSysvIpc[] = {
    PseudoEntry::file("msg", show_table<show_message_queues>),
    PseudoEntry::file("sem", show_table<show_semaphore_sets>),
    PseudoEntry::file("shm", show_table<show_shared_memory>),
};

constexpr PseudoEntry kRootFiles[] = {
    PseudoEntry::directory("sysvipc", kSysvIpc),
    PseudoEntry::file("cmdline", show_command_line),
    PseudoEntry::file("cpuinfo", show_cpuinfo),
    PseudoEntry::file("devices", show_devices),
    PseudoEntry::file("filesystems", show_filesystems),
    PseudoEntry::file("interrupts", show_interrupts),
    PseudoEntry::file("loadavg", show_loadavg),
    PseudoEntry::file("meminfo", show_meminfo),
    PseudoEntry::symlink("mounts", link_mounts),
    PseudoEntry::symlink("net", link_net),
    PseudoEntry::symlink("self", link_self),
    PseudoEntry::file("stat", show_stat),
    PseudoEntry::file("swaps", show_swaps),
    PseudoEntry::symlink("thread-self", link_thread_self),
    PseudoEntry::file("uptime", show_uptime),
    PseudoEntry::file("version", show_version),
    PseudoEntry::file("vmstat", show_vmstat),
};

Result<RefPtr<Inode>> lookup_process(const PseudoInode& directory, std::string_view name) {
    if (name == kSysDirectory.name) return directory.make_child(kSysDirectory, 0);
    int64_t pid = parse_number(name);
    if (pid <= 0 || pid > UINT32_MAX || !find_process(static_cast<uint32_t>(pid))) {
        return Error(ENOENT);
    }
    return directory.make_child(kProcessDirectory, static_cast<uint32_t>(pid));
}

Result<void> list_processes(const PseudoInode&, uint64_t position, DirectoryVisitor& visitor) {
    constexpr uint64_t kSysPosition = 2 + std::size(kRootFiles);
    if (position == kSysPosition) {
        if (!visitor.visit(kSysDirectory.name, 2, DT_DIR, ++position)) return {};
    }
    // Process n is at position kSysPosition + n.
    uint32_t pid = current_process()->pid;
    if (position > kSysPosition + pid) return {};
    TextBuffer name;
    name.print("%u", pid);
    TRY(name.status());
    visitor.visit(name.text(), uint64_t{pid} << 24, DT_DIR, kSysPosition + pid + 1);
    return {};
}

constexpr PseudoEntry kRootEntry = {.name = "",
                                    .mode = S_IFDIR | 0555,
                                    .children = kRootFiles,
                                    .child_count = std::size(kRootFiles),
                                    .lookup = lookup_process,
                                    .list = list_processes};

}  // namespace

Result<RefPtr<Inode>> make_procfs() {
    RefPtr<PseudoFileSystem> file_system =
        TRY(make_ref<PseudoFileSystem>("proc", PROC_SUPER_MAGIC, uint64_t{0}));
    RefPtr<Inode> root = TRY(make_ref<PseudoInode>(*file_system, kRootEntry, 0u, -1));
    root->number = 1;  // PROC_ROOT_INO
    return root;
}

}  // namespace coracle
