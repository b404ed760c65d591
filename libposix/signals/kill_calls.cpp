// kill, tkill, tgkill, rt_sigqueueinfo, rt_tgsigqueueinfo, pidfd_send_signal. There is one process:
// everybody else is ESRCH.
#include <climits>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/pidfd.h"
#include "libposix/process/threads.h"
#include "libposix/signals/signal_delivery.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

SignalInfo info_from_self(int signo, int code) {
    const Process& process = *current_process();
    SignalInfo info;
    info.signo = signo;
    info.code = code;
    info.kill.pid = static_cast<int32_t>(process.pid);
    info.kill.uid = process.credentials.uid;
    return info;
}

// Signal 0 asks whether the target exists. The first choice is the thread that was named.
Result<long> send_to_process(int signo, const SignalInfo& info, Thread* first_choice = nullptr) {
    if (signo != 0 && !is_valid_signal(signo)) return Error(EINVAL);
    if (signo != 0) TRY(send_signal(*current_process(), info, first_choice));
    return 0;
}

Result<long> send_to_thread(int tid, int signo, const SignalInfo& info) {
    Thread* thread = TRY(find_own_thread(tid));
    if (signo != 0 && !is_valid_signal(signo)) return Error(EINVAL);
    if (signo != 0) TRY(send_signal_to_thread(*thread, info));
    return 0;
}

// What a program sends must not look like the kernel's or kill(2)'s, unless it goes to the sender.
Result<SignalInfo> read_info(UserIn<SignalInfo> user_info, int signo, int target) {
    SignalInfo info = TRY(user_info.read());
    info.signo = signo;
    const bool is_self = static_cast<uint32_t>(target) == current_thread()->tid;
    if ((info.code >= 0 || info.code == kSiTkill) && !is_self) return Error(EPERM);
    return info;
}

}  // namespace

Result<long> sys_kill(int pid, int signo) {
    const Process& process = *current_process();
    const int own_group = static_cast<int>(process.process_group);
    const SignalInfo info = info_from_self(signo, kSiUser);
    // A thread's number stands for its process, too.
    if (pid > 0) return send_to_process(signo, info, TRY(find_own_thread(pid)));
    // -1: everybody but the caller, and there is nobody else.
    const bool is_target = pid == 0 || (pid < -1 && pid != INT_MIN && -pid == own_group);
    if (!is_target) return Error(ESRCH);
    return send_to_process(signo, info);
}

Result<long> sys_tkill(int tid, int signo) {
    if (tid <= 0) return Error(EINVAL);
    return send_to_thread(tid, signo, info_from_self(signo, kSiTkill));
}

Result<long> sys_tgkill(int tgid, int tid, int signo) {
    if (tgid <= 0 || tid <= 0) return Error(EINVAL);
    if (static_cast<uint32_t>(tgid) != current_process()->pid) return Error(ESRCH);
    return send_to_thread(tid, signo, info_from_self(signo, kSiTkill));
}

Result<long> sys_rt_sigqueueinfo(int pid, int signo, UserIn<SignalInfo> user_info) {
    const SignalInfo info = TRY(read_info(user_info, signo, pid));
    if (pid <= 0) return Error(ESRCH);
    return send_to_process(signo, info, TRY(find_own_thread(pid)));
}

Result<long> sys_rt_tgsigqueueinfo(int tgid, int tid, int signo, UserIn<SignalInfo> user_info) {
    if (tgid <= 0 || tid <= 0) return Error(EINVAL);
    const SignalInfo info = TRY(read_info(user_info, signo, tid));
    if (static_cast<uint32_t>(tgid) != current_process()->pid) return Error(ESRCH);
    return send_to_thread(tid, signo, info);
}

Result<long> sys_pidfd_send_signal(int pidfd, int signo, UserIn<SignalInfo> user_info,
                                   unsigned flags) {
    if (flags) return Error(EINVAL);
    const RefPtr<PidFile> target = TRY(get_pid_file(pidfd));
    if (!user_info) return send_to_process(signo, info_from_self(signo, kSiUser));
    if (TRY(user_info.read()).signo != signo) return Error(EINVAL);
    const auto pid = static_cast<int>(target->process().pid);
    return send_to_process(signo, TRY(read_info(user_info, signo, pid)));
}

}  // namespace coracle
