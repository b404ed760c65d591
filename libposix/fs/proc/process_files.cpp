// /proc/PID: what a process tells of itself.
#include <dirent.h>

#include <algorithm>
#include <cstring>
#include <iterator>

#include "kernel-min/sched/scheduler.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/fs/sys/cpu_directory.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/time/clock.h"
#include "libposix/net/proc_net.h"
#include "libposix/time/cpu_time.h"

namespace coracle {
namespace {

constexpr uint64_t kTickNs = 10'000'000;  // USER_HZ is 100

// Only the calling process's memory can be copied; that of another will need its page table.
bool is_self(const PseudoContext& about) { return about.process == current_process(); }

Result<void> add_memory(TextBuffer& to, const PseudoContext& about, uint64_t start, uint64_t end) {
    char bytes[256];
    while (is_self(about) && start < end) {
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
    return add_memory(to, about, about.process->environment_start, about.process->environment_end);
}
Result<void> show_auxv(TextBuffer& to, const PseudoContext& about) {
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

char state_letter(const Thread& thread) {
    return thread.run_state == RunState::kSleeping ? 'S' : 'R';
}

struct Sizes {
    uint64_t data = 0, stack = 0, text = 0, library = 0, locked = 0;  // pages
};
Sizes sizes_of(Process& process) {
    Sizes sizes;
    for (const Region& region : process.address_space->regions()) {
        uint64_t pages = region.size() / kPageSize;
        bool is_stack = region.grows_down;
        if (is_stack) sizes.stack += pages;
        if (region.locked) sizes.locked += pages;
        bool is_code = (region.protection & PROT_EXEC) && !(region.protection & PROT_WRITE);
        if (is_code && region.start >= process.start_code && region.start < process.end_code) {
            sizes.text += pages;
        } else if (is_code) {
            sizes.library += pages;
        } else if ((region.protection & PROT_WRITE) && !region.shared && !is_stack) {
            sizes.data += pages;
        }
    }
    return sizes;
}

Result<void> show_stat(TextBuffer& to, const PseudoContext& about) {
    Process& process = *about.process;
    const AddressSpace& memory = *process.address_space;
    const Thread& thread = *about.thread;
    const bool is_process = thread.tid == process.pid;
    const uint64_t ticks =
        (is_process ? process_cpu_time_ns(process) : tsc_to_ns(run_ticks(thread))) / kTickNs;
    const ThreadSignals& signals = thread.state->signals;
    SignalSet ignored = 0, caught = 0;
    for (int signo = 1; signo <= kSignalCount; signo++) {
        uint64_t handler = (*process.signal_actions)[signo].handler;
        if (handler == kSigIgn) ignored |= signal_bit(signo);
        if (handler > kSigIgn) caught |= signal_bit(signo);
    }
    constexpr uint64_t kOldMask = 0x7fffffff;
    to.print("%u (%s) %c %u %u %u 0 -1 4194304 0 0 0 0 ", about.pid, thread_name(*about.thread),
             state_letter(thread), process.parent_pid, process.process_group, process.session);
    const int nice = thread.state->scheduling.nice;
    to.print("%lu 0 0 0 %d %d %lu 0 %lu ", ticks, 20 + nice, nice, process.threads.size(),
             process.start_time_ns / kTickNs);
    to.print("%lu %lu %lu ", memory.mapped_bytes(), memory.resident_pages(),
             process.limits.soft(Resource::kResidentSet));
    to.print("%lu %lu %lu 0 0 ", process.start_code, process.end_code, process.start_stack);
    to.print("%lu %lu %lu %lu ", signals.pending.set() & kOldMask, signals.blocked & kOldMask,
             ignored & kOldMask, caught & kOldMask);
    to.print("0 0 0 17 0 0 0 0 0 0 %lu %lu %lu %lu %lu %lu %lu 0\n", process.start_data,
             process.end_data, memory.break_start(), process.arguments_start,
             process.arguments_end, process.environment_start, process.environment_end);
    return {};
}

Result<void> show_statm(TextBuffer& to, const PseudoContext& about) {
    const AddressSpace& memory = *about.process->address_space;
    Sizes sizes = sizes_of(*about.process);
    to.print("%lu %lu 0 %lu 0 %lu 0\n", memory.mapped_bytes() / kPageSize,
             memory.resident_pages(), sizes.text, sizes.data + sizes.stack);
    return {};
}

void add_signals(TextBuffer& to, Process& process, const Thread& thread) {
    const ThreadSignals& signals = thread.state->signals;
    SignalSet ignored = 0, caught = 0;
    for (int signo = 1; signo <= kSignalCount; signo++) {
        uint64_t handler = (*process.signal_actions)[signo].handler;
        if (handler == kSigIgn) ignored |= signal_bit(signo);
        if (handler > kSigIgn) caught |= signal_bit(signo);
    }
    to.print("SigQ:\t0/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\n",
             process.limits.soft(Resource::kPendingSignals), signals.pending.set(),
             process.pending_signals.set());
    to.print("SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", signals.blocked, ignored,
             caught);
}

Result<void> show_status(TextBuffer& to, const PseudoContext& about) {
    Process& process = *about.process;
    const Credentials& who = process.credentials;
    const AddressSpace& memory = *process.address_space;
    Sizes sizes = sizes_of(process);
    auto kilobytes = [&](const char* name, uint64_t pages) {
        to.print("%s:\t%8lu kB\n", name, pages * (kPageSize / 1024));
    };
    to.print("Name:\t%s\nUmask:\t%04u\n", thread_name(*about.thread),
             (process.file_system->umask >> 6) * 100 + (process.file_system->umask >> 3 & 7) * 10 +
                 (process.file_system->umask & 7));
    to.add(state_letter(*about.thread) == 'R' ? "State:\tR (running)\n" : "State:\tS (sleeping)\n");
    to.print("Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", process.pid,
             about.pid, process.parent_pid);
    to.print("Uid:\t%u\t%u\t%u\t%u\n", who.uid, who.euid, who.suid, who.fsuid);
    to.print("Gid:\t%u\t%u\t%u\t%u\n", who.gid, who.egid, who.sgid, who.fsgid);
    to.print("FDSize:\t%u\nGroups:\t", process.descriptors->capacity());
    if (who.supplementary) {
        for (uint32_t group : who.supplementary->groups()) to.print("%u ", group);
    }
    to.print(" \nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", process.pid, process.pid,
             process.process_group, process.session);
    kilobytes("VmPeak", memory.peak_mapped_bytes() / kPageSize);
    kilobytes("VmSize", memory.mapped_bytes() / kPageSize);
    kilobytes("VmLck", sizes.locked);
    kilobytes("VmPin", 0);
    kilobytes("VmHWM", memory.peak_resident_pages());
    kilobytes("VmRSS", memory.resident_pages());
    kilobytes("RssAnon", memory.resident_pages());
    kilobytes("RssFile", 0);
    kilobytes("RssShmem", 0);
    kilobytes("VmData", sizes.data);
    kilobytes("VmStk", sizes.stack);
    kilobytes("VmExe", sizes.text);
    kilobytes("VmLib", sizes.library);
    kilobytes("VmPTE", 0);
    kilobytes("VmSwap", 0);
    kilobytes("HugetlbPages", 0);
    to.print("CoreDumping:\t0\nTHP_enabled:\t%d\nThreads:\t%lu\n",
             !process.has_huge_pages_disabled, process.threads.size());
    add_signals(to, process, *about.thread);
    to.print("CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n",
             who.inheritable, who.permitted, who.effective, who.bounding, who.ambient);
    to.print("NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", who.no_new_privileges);
    to.print("Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n");
    const uint64_t allowed = about.thread->affinity & online_cpus();
    to.add("Cpus_allowed:\t");
    add_cpu_mask(to, allowed);
    to.add("\nCpus_allowed_list:\t");
    add_cpu_list(to, allowed);
    to.add("\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    to.print("voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
             about.thread->voluntary_switches, about.thread->involuntary_switches);
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
    return jump_to(about.process->file_system->cwd);
}
Result<LinkTarget> link_root(const PseudoContext& about) {
    return jump_to(about.process->file_system->root);
}
Result<LinkTarget> link_exe(const PseudoContext& about) {
    // The path by which it was executed leads there; FIXME: keep the place itself, so that a
    // renamed or removed program is still found.
    if (about.process->executable_path[0] == '\0') return Error(ENOENT);
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

const PseudoEntry kProcessFiles[] = {
    PseudoEntry::dynamic("task", lookup_task, list_tasks),  // first: see kThreadDirectory
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
    PseudoEntry::file("stat", show_stat),
    PseudoEntry::file("statm", show_statm),
    PseudoEntry::file("status", show_status),
    PseudoEntry::file("uid_map", show_id_map),
    PseudoEntry::file("wchan", show_wchan),
};

}  // namespace

constinit const PseudoEntry kProcessDirectory = PseudoEntry::directory("", kProcessFiles);
// All but the first, `task`.
constinit const PseudoEntry kThreadDirectory = {.name = "",
                                                .mode = S_IFDIR | 0555,
                                                .children = kProcessFiles + 1,
                                                .child_count = std::size(kProcessFiles) - 1};

}  // namespace coracle
