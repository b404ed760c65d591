// A process: what its threads share. Each part is a class of its own room, counted, so that
// clone(2) can share it or copy it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/sched/thread.h"
#include "kernel-min/sched/wait.h"
#include "libposix/files/descriptor_table.h"     // DescriptorTable
#include "libposix/files/file_system_context.h"  // FileSystemContext: root, cwd, umask
#include "libposix/memory/address_space.h"       // AddressSpace
#include "libposix/process/credentials.h"        // Credentials
#include "libposix/process/executable_file.h"    // ExecutableFile
#include "libposix/process/priority_inheritance.h"
#include "libposix/process/resource_limits.h"    // ResourceLimits
#include "libposix/process/scheduling.h"         // Scheduling
#include "libposix/signals/signal_state.h"       // SignalActions, ThreadSignals
#include "libposix/time/cpu_time.h"              // CpuUsage
#include "libposix/time/interval_timers.h"       // IntervalTimers
#include "libposix/time/posix_timers.h"          // PosixTimers

namespace coracle {

using ThreadList =
    boost::intrusive::list<Thread, boost::intrusive::base_hook<SiblingHook>>;

class Process {
  public:
    // The oldest first: those that have not ended, and the first one even then (has_ended).
    ThreadList threads;
    uint32_t live_threads = 0;  // those of the program that have not ended
    uint32_t pid = 1;
    uint32_t parent_pid = 0;
    uint32_t process_group = 1, session = 1;

    RefPtr<AddressSpace> address_space;
    RefPtr<DescriptorTable> descriptors;
    RefPtr<FileSystemContext> file_system;
    RefPtr<SignalActions> signal_actions;
    PendingSignals pending_signals;  // for the process as a whole
    WaitQueue signal_arrivals;       // woken when a signal comes for it or one of its threads
    bool is_stopped = false;         // by SIGSTOP, until SIGCONT or SIGKILL
    Credentials credentials;
    ResourceLimits limits;
    IntervalTimers interval_timers{*this};
    PosixTimers posix_timers{*this};

    char name[16] = {};  // comm of the first thread: thread_name()
    ExecutableFile executable;
    char executable_path[4096] = {};

    // Where execve laid out what /proc/self/{cmdline,environ,auxv} show.
    uint64_t arguments_start = 0, arguments_end = 0;
    uint64_t environment_start = 0, environment_end = 0;
    uint64_t auxv_start = 0, auxv_end = 0;
    uint64_t start_code = 0, end_code = 0, start_data = 0, end_data = 0, start_stack = 0;
    CpuUsage ended_threads;      // of threads that have ended, together
    abi::ProcessPage* page = nullptr;  // the kernel's view of [vvar]; the address space owns it
    uint64_t vdso_syscall = 0;         // address of `syscall; ret` in [vdso]
    bool dumpable = true;
    bool is_child_subreaper = false;
    bool has_huge_pages_disabled = false;  // PR_SET_THP_DISABLE
    int parent_death_signal = 0;
    uint32_t personality = 0;
    uint32_t membarrier_registrations = 0;  // MEMBARRIER_CMD_... bits
};

constexpr uint64_t kDefaultTimerSlackNs = 50'000;

struct MemoryPolicy {  // set_mempolicy(2)
    int mode = 0;        // MPOL_DEFAULT
    uint64_t nodes = 0;  // node 0 is all there is
};

// Where the maker of a thread with CLONE_VFORK waits for its end: in the call's own frame.
struct VforkWait {
    WaitQueue ended;
    bool has_ended = false;
};

// The POSIX side of a thread.
struct ThreadState {
    ThreadSignals signals;
    // A zombie: the first thread of a process has ended before others. Its number, which is the
    // process's, still leads here; it takes no signals and uses neither memory nor files.
    bool has_ended = false;
    bool is_unparked = false;    // park_calls.cpp
    bool is_kernel_thread = false;  // libposix/process/kernel_thread.h
    const Credentials* credentials = nullptr;  // current_credentials()
    uint32_t wait_status = 0;    // of one that has ended
    uint64_t start_time_ns = 0;  // monotonic
    VforkWait* vfork = nullptr;  // of its maker, if that waits
    uint64_t clear_child_tid = 0;
    uint64_t robust_list = 0, robust_list_size = 0;
    uint64_t rseq_area = 0;
    uint32_t rseq_size = 0, rseq_signature = 0;
    Scheduling scheduling;
    Inheritance inheritance;
    char name[16] = {};  // of a thread that is not the first: thread_name()
    uint64_t timer_slack_ns = kDefaultTimerSlackNs;
    MemoryPolicy memory_policy;
};

// Whose rights the current thread has: its process's, unless it acts for somebody
// (libposix/process/kernel_thread.h).
inline const Credentials& current_credentials() {
    return *current_thread()->state->credentials;
}

// Ends the whole process with a wait status as wait(2) encodes it; the VM powers off with the
// first process.
[[noreturn]] void exit_process(uint32_t wait_status);

}  // namespace coracle
