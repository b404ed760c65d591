// getpid, getppid, gettid, process groups and sessions, wait4 and waitid. There is one process, so
// nobody else can be named, and there are no children to wait for.
#include <climits>
#include <sys/wait.h>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/pidfd.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

bool is_self(int pid) { return pid == 0 || static_cast<uint32_t>(pid) == current_process()->pid; }

}  // namespace

Result<long> sys_getpid() { return current_process()->pid; }
Result<long> sys_getppid() { return current_process()->parent_pid; }
Result<long> sys_gettid() { return current_thread()->tid; }
Result<long> sys_getpgrp() { return current_process()->process_group; }

Result<long> sys_getpgid(int pid) {
    if (!is_self(pid)) return Error(ESRCH);
    return current_process()->process_group;
}

Result<long> sys_getsid(int pid) {
    if (!is_self(pid)) return Error(ESRCH);
    return current_process()->session;
}

Result<long> sys_setpgid(int pid, int group) {
    Process& process = *current_process();
    if (group < 0) return Error(EINVAL);
    if (!is_self(pid)) return Error(ESRCH);
    if (process.session == process.pid) return Error(EPERM);
    const uint32_t wanted = group == 0 ? process.pid : static_cast<uint32_t>(group);
    // A group of its own, or one that exists: its own again.
    if (wanted != process.pid && wanted != process.process_group) return Error(EPERM);
    process.process_group = wanted;
    return 0;
}

Result<long> sys_setsid() {
    Process& process = *current_process();
    if (process.process_group == process.pid) return Error(EPERM);
    process.session = process.process_group = process.pid;
    return process.pid;
}

Result<long> sys_wait4(int pid, UserOut<int>, int options, UserOut<struct rusage>) {
    constexpr unsigned kOptions =
        WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
    if (static_cast<unsigned>(options) & ~kOptions) return Error(EINVAL);
    if (pid == INT_MIN) return Error(ESRCH);
    return Error(ECHILD);
}

Result<long> sys_waitid(int type, int id, UserOut<SignalInfo>, int options,
                        UserOut<struct rusage>) {
    constexpr unsigned kEvents = WEXITED | WSTOPPED | WCONTINUED;
    constexpr unsigned kOptions = kEvents | WNOHANG | WNOWAIT | __WNOTHREAD | __WCLONE | __WALL;
    const auto given = static_cast<unsigned>(options);
    if ((given & ~kOptions) || !(given & kEvents)) return Error(EINVAL);
    switch (type) {
        case P_ALL:
            break;
        case P_PID:
            if (id <= 0) return Error(EINVAL);
            break;
        case P_PGID:
            if (id < 0) return Error(EINVAL);
            break;
        case P_PIDFD:
            if (id < 0) return Error(EINVAL);
            TRY(get_pid_file(id));  // nobody's child
            break;
        default:
            return Error(EINVAL);
    }
    return Error(ECHILD);
}

}  // namespace coracle
