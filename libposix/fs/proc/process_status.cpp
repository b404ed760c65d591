// /proc/PID/stat, statm and status: a process and its threads in numbers.
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/scheduler.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/fs/sys/cpu_directory.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/time/cpu_time.h"

namespace coracle {
namespace {

char state_letter(const Thread& thread) {
    if (thread.state->has_ended) return 'Z';
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

struct SignalSets {
    SignalSet ignored = 0, caught = 0;
};
SignalSets signal_sets(const Process& process) {
    SignalSets sets;
    for (int signo = 1; signo <= kSignalCount; signo++) {
        const uint64_t handler = (*process.signal_actions)[signo].handler;
        if (handler == kSigIgn) sets.ignored |= signal_bit(signo);
        if (handler > kSigIgn) sets.caught |= signal_bit(signo);
    }
    return sets;
}

// Everything but the state is 0 for one that has ended. Times are in USER_HZ.
Result<void> show_stat(TextBuffer& to, const PseudoContext& about, uint64_t used_ns,
                       int exit_signal) {
    constexpr uint64_t kTickNs = 10'000'000, kOldMask = 0x7fffffff;
    const Process& process = *about.process;
    const AddressSpace& memory = *process.address_space;
    const Thread& thread = *about.thread;
    const Scheduling& scheduling = thread.state->scheduling;
    const ThreadSignals& signals = thread.state->signals;
    const SignalSets sets = signal_sets(process);
    const auto own = [&](uint64_t value) { return is_zombie(about) ? 0 : value; };
    const int priority =
        is_realtime(scheduling.policy) ? -1 - scheduling.priority : 20 + scheduling.nice;

    to.print("%u (%s) %c %u %u %u 0 -1 4194304 0 0 0 0 ", about.pid, thread_name(*about.thread),
             state_letter(thread), process.parent_pid, process.process_group, process.session);
    to.print("%lu 0 0 0 %d %d %lu 0 %lu ", used_ns / kTickNs, priority, scheduling.nice,
             process.threads.size(), thread.state->start_time_ns / kTickNs);
    to.print("%lu %lu %lu ", own(memory.mapped_bytes()), own(memory.resident_pages()),
             process.limits.soft(Resource::kResidentSet));
    to.print("%lu %lu %lu 0 0 ", own(process.start_code), own(process.end_code),
             own(process.start_stack));
    to.print("%lu %lu %lu %lu ", signals.pending.set() & kOldMask, signals.blocked & kOldMask,
             sets.ignored & kOldMask, sets.caught & kOldMask);
    to.print("0 0 0 %d %u %d %u 0 0 0 ", exit_signal, thread.cpu->id, scheduling.priority,
             static_cast<uint32_t>(scheduling.policy));
    to.print("%lu %lu %lu ", own(process.start_data), own(process.end_data),
             own(memory.break_start()));
    to.print("%lu %lu %lu %lu ", own(process.arguments_start), own(process.arguments_end),
             own(process.environment_start), own(process.environment_end));
    to.print("%u\n", thread.state->wait_status);
    return {};
}

void add_signals(TextBuffer& to, const Process& process, const Thread& thread) {
    const ThreadSignals& signals = thread.state->signals;
    const SignalSets sets = signal_sets(process);
    to.print("SigQ:\t%lu/%lu\nSigPnd:\t%016lx\nShdPnd:\t%016lx\n",
             queued_signal_count(process.credentials.uid),
             process.limits.soft(Resource::kPendingSignals), signals.pending.set(),
             process.pending_signals.set());
    to.print("SigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", signals.blocked,
             sets.ignored, sets.caught);
}

void add_memory(TextBuffer& to, Process& process) {
    const AddressSpace& memory = *process.address_space;
    const Sizes sizes = sizes_of(process);
    const auto kilobytes = [&](const char* name, uint64_t pages) {
        to.print("%s:\t%8lu kB\n", name, pages * (kPageSize / 1024));
    };
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
    to.print("CoreDumping:\t0\nTHP_enabled:\t%d\n", !process.has_huge_pages_disabled);
}

void add_ids(TextBuffer& to, const PseudoContext& about) {
    const Process& process = *about.process;
    const Credentials& who = process.credentials;
    to.print("Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", process.pid,
             about.pid, process.parent_pid);
    to.print("Uid:\t%u\t%u\t%u\t%u\n", who.uid, who.euid, who.suid, who.fsuid);
    to.print("Gid:\t%u\t%u\t%u\t%u\n", who.gid, who.egid, who.sgid, who.fsgid);
    to.print("FDSize:\t%u\nGroups:\t", is_zombie(about) ? 0 : process.descriptors->capacity());
    if (who.supplementary) {
        for (uint32_t group : who.supplementary->groups()) to.print("%u ", group);
    }
    to.print(" \nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", process.pid, about.pid,
             process.process_group, process.session);
}

}  // namespace

bool is_zombie(const PseudoContext& about) { return about.thread->state->has_ended; }

Result<void> show_process_stat(TextBuffer& to, const PseudoContext& about) {
    return show_stat(to, about, process_cpu_time_ns(*about.process), kSigChld);
}

Result<void> show_thread_stat(TextBuffer& to, const PseudoContext& about) {
    const bool is_first = about.thread->tid == about.process->pid;
    return show_stat(to, about, thread_cpu_time_ns(*about.thread), is_first ? kSigChld : -1);
}

Result<void> show_statm(TextBuffer& to, const PseudoContext& about) {
    if (is_zombie(about)) {
        to.add("0 0 0 0 0 0 0\n");
        return {};
    }
    const AddressSpace& memory = *about.process->address_space;
    Sizes sizes = sizes_of(*about.process);
    to.print("%lu %lu 0 %lu 0 %lu 0\n", memory.mapped_bytes() / kPageSize,
             memory.resident_pages(), sizes.text, sizes.data + sizes.stack);
    return {};
}

Result<void> show_status(TextBuffer& to, const PseudoContext& about) {
    Process& process = *about.process;
    const Credentials& who = process.credentials;
    const Thread& thread = *about.thread;
    to.print("Name:\t%s\n", thread_name(*about.thread));
    if (!is_zombie(about)) {
        const uint32_t mask = process.file_system->umask;
        to.print("Umask:\t0%u%u%u\n", mask >> 6, mask >> 3 & 7, mask & 7);
    }
    const char letter = state_letter(thread);
    to.print("State:\t%c (%s)\n", letter,
             letter == 'R' ? "running" : letter == 'S' ? "sleeping" : "zombie");
    add_ids(to, about);
    if (!is_zombie(about)) add_memory(to, process);
    to.print("Threads:\t%lu\n", process.threads.size());
    add_signals(to, process, thread);
    to.print(
        "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n",
        who.inheritable, who.permitted, who.effective, who.bounding, who.ambient);
    to.print("NoNewPrivs:\t%d\nSeccomp:\t0\nSeccomp_filters:\t0\n", who.no_new_privileges);
    to.print("Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\talways enabled\n");
    const uint64_t allowed = thread.affinity & online_cpus();
    to.add("Cpus_allowed:\t");
    add_cpu_mask(to, allowed);
    to.add("\nCpus_allowed_list:\t");
    add_cpu_list(to, allowed);
    to.add("\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
    to.print("voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
             thread.voluntary_switches, thread.involuntary_switches);
    return {};
}

}  // namespace coracle
