#include "libposix/process/pidfd.h"

#include "libposix/fs/pseudo/text_buffer.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {

void PidFile::describe_state(TextBuffer& to) {
    to.print("Pid:\t%u\nNSpid:\t%u\n", process_.pid, process_.pid);
}

Result<RefPtr<PidFile>> get_pid_file(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    auto* wanted = file ? file_as<PidFile>(*file) : nullptr;
    if (!wanted) return Error(EBADF);
    return RefPtr<PidFile>(wanted);
}

Result<long> sys_pidfd_open(int pid, unsigned flags) {
    if (flags & ~unsigned{O_NONBLOCK}) return Error(EINVAL);
    if (pid <= 0) return Error(EINVAL);
    const Thread* thread = TRY(find_own_thread(pid));
    if (thread->tid != thread->process->pid) return Error(EINVAL);
    return open_event_file<PidFile>("[pidfd]", O_RDWR | O_CLOEXEC | flags, *thread->process);
}

Result<long> sys_pidfd_getfd(int pidfd, int target, unsigned flags) {
    if (flags) return Error(EINVAL);
    const RefPtr<PidFile> process = TRY(get_pid_file(pidfd));
    return install_descriptor(TRY(process->process().descriptors->get(target)), O_CLOEXEC);
}

}  // namespace coracle
