// kcmp(2): whether two threads share something. All threads here are of one process, which shares
// everything, but for a first thread that has ended and lacks it.
#include <linux/kcmp.h>

#include <functional>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/events/epoll.h"
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// 0: the same; 1: the first comes first; 2: the second does.
long compare(const void* first, const void* second) {
    if (first == second) return 0;
    return std::less<>()(first, second) ? 1 : 2;
}

// What the thread has of something that a process shares.
const void* shared_by(const Thread& thread, const void* what) {
    return thread.state->has_ended ? nullptr : what;
}

Result<RefPtr<File>> file_of(const Thread& thread, unsigned long number) {
    if (thread.state->has_ended) return Error(EBADF);
    return thread.process->descriptors->get(static_cast<int>(number));
}

// The file that an epoll watches by the name of a descriptor: the `toff`th such. EBADF, EINVAL,
// ENOENT.
Result<const File*> watched_file(const Thread& thread, const kcmp_epoll_slot& slot) {
    const RefPtr<File> file = TRY(file_of(thread, slot.efd));
    auto* epoll = file_as<EpollFile>(*file);
    if (!epoll) return Error(EINVAL);
    const File* found = nullptr;
    uint32_t passed = 0;
    epoll->for_each_item([&](const EpollItem& item) {
        if (static_cast<uint32_t>(item.fd) == slot.tfd && passed++ == slot.toff) found = &item.file;
    });
    if (!found) return Error(ENOENT);
    return found;
}

}  // namespace

Result<long> sys_kcmp(int pid1, int pid2, int type, unsigned long index1, unsigned long index2) {
    kcmp_epoll_slot slot = {};
    const bool has_slot = copy_from_user(&slot, index2, type == KCMP_EPOLL_TFD ? sizeof(slot) : 0);
    // From here on nothing sleeps.
    if (pid1 == 0 || pid2 == 0) return Error(ESRCH);
    const Thread& first = *TRY(find_own_thread(pid1));
    const Thread& second = *TRY(find_own_thread(pid2));
    const Process& process = *first.process;
    const void* shared;
    switch (type) {
        case KCMP_FILE:
            return compare(TRY(file_of(first, index1)).get(), TRY(file_of(second, index2)).get());
        case KCMP_EPOLL_TFD: {
            if (!has_slot) return Error(EFAULT);
            const RefPtr<File> file = TRY(file_of(first, index1));
            return compare(file.get(), TRY(watched_file(second, slot)));
        }
        case KCMP_VM:
            shared = process.address_space.get();
            break;
        case KCMP_FILES:
            shared = process.descriptors.get();
            break;
        case KCMP_FS:
            shared = process.file_system.get();
            break;
        case KCMP_SIGHAND:  // which even an ended one keeps
        case KCMP_IO:       // which none has
        case KCMP_SYSVSEM:
            return 0;
        default:
            return Error(EINVAL);
    }
    return compare(shared_by(first, shared), shared_by(second, shared));
}

}  // namespace coracle
