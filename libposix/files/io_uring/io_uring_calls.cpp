// io_uring_setup, io_uring_enter, io_uring_register.
#include <sys/uio.h>

#include <algorithm>
#include <bit>

#include "libposix/files/io_uring/io_uring.h"
#include "libposix/files/segments.h"
#include "libposix/signals/signal_delivery.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr unsigned kMaxBuffers = 1 << 14, kMaxFiles = 1 << 15;

// What Linux 6.1 calls features; the rest of its list is not here.
constexpr uint32_t kFeatures = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP |
                               IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS |
                               IORING_FEAT_CUR_PERSONALITY | IORING_FEAT_FAST_POLL |
                               IORING_FEAT_EXT_ARG | IORING_FEAT_CQE_SKIP |
                               IORING_FEAT_SQPOLL_NONFIXED;
// Polling of devices (IOPOLL) and larger entries are not.
constexpr uint32_t kSetupFlags = IORING_SETUP_SQPOLL | IORING_SETUP_SQ_AFF |
                                 IORING_SETUP_ATTACH_WQ | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP |
                                 IORING_SETUP_R_DISABLED | IORING_SETUP_SUBMIT_ALL |
                                 IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                                 IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;

Result<unsigned> ring_size(unsigned asked, unsigned maximum, bool clamps) {
    if (asked == 0) return Error(EINVAL);
    if (asked > maximum) {
        if (!clamps) return Error(EINVAL);
        asked = maximum;
    }
    return std::bit_ceil(asked);
}

// What has to do with interrupting the task makes no sense with SQPOLL.
Result<void> check_setup_flags(uint32_t flags) {
    constexpr uint32_t kTaskRun =
        IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_DEFER_TASKRUN;
    constexpr uint32_t kFlagged = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN;
    const auto has = [flags](uint32_t flag) { return (flags & flag) != 0; };
    if (flags & ~kSetupFlags) return Error(EINVAL);
    if (has(IORING_SETUP_SQPOLL) && has(kTaskRun)) return Error(EINVAL);
    if (has(IORING_SETUP_TASKRUN_FLAG) && !has(kFlagged)) return Error(EINVAL);
    if (has(IORING_SETUP_DEFER_TASKRUN) && !has(IORING_SETUP_SINGLE_ISSUER)) return Error(EINVAL);
    if (has(IORING_SETUP_SQ_AFF) && !has(IORING_SETUP_SQPOLL)) return Error(EINVAL);
    return {};
}

// EBADF; `if_other`: it is something else.
Result<RefPtr<IoUring>> get_ring(int fd, int if_other = EOPNOTSUPP) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    IoUring* ring = file_as<IoUring>(*file);
    if (!ring) return Error(if_other);
    return RefPtr<IoUring>(ring);
}

// The ring that IORING_SETUP_ATTACH_WQ names. Without SQPOLL there is nothing to share.
Result<RefPtr<SubmissionPoller>> find_poller(const io_uring_params& params) {
    Result<RefPtr<IoUring>> ring = get_ring(static_cast<int>(params.wq_fd), EINVAL);
    if (!ring.ok()) return Error(ring.error_code() == EBADF ? ENXIO : EINVAL);
    if (!(params.flags & IORING_SETUP_SQPOLL)) return RefPtr<SubmissionPoller>();
    SubmissionPoller* poller = (*ring)->poller();
    if (!poller) return Error(EINVAL);
    return RefPtr<SubmissionPoller>(poller);
}

Result<RefPtr<SubmissionPoller>> make_poller(const io_uring_params& params) {
    if (params.flags & IORING_SETUP_ATTACH_WQ) return find_poller(params);
    if (!(params.flags & IORING_SETUP_SQPOLL)) return RefPtr<SubmissionPoller>();
    uint64_t affinity = online_cpus();
    if (params.flags & IORING_SETUP_SQ_AFF) {
        if (params.sq_thread_cpu >= cpu_count) return Error(EINVAL);
        affinity = uint64_t{1} << params.sq_thread_cpu;
    }
    return SubmissionPoller::start(affinity);
}

// Does not sleep.
Result<RefPtr<IoUring>> make_ring(const io_uring_params& params, RefPtr<RingMemory> memory) {
    constexpr uint64_t kNsPerMs = 1'000'000, kDefaultIdleNs = 1'000'000'000;
    std::unique_ptr<SubmissionPoller::Watch> watch;
    if (params.flags & IORING_SETUP_SQPOLL) {
        const uint64_t asked_ns = params.sq_thread_idle * kNsPerMs;
        watch = TRY(make_unique_object<SubmissionPoller::Watch>(
            memory, asked_ns != 0 ? asked_ns : kDefaultIdleNs, current_credentials()));
    }
    Path path = TRY(make_event_path("[io_uring]"));
    RefPtr<Inode> inode = path.dentry->inode_ref();
    RefPtr<SubmissionPoller> poller = TRY(make_poller(params));
    return make_ref<IoUring>(path, std::move(inode), O_RDWR, std::move(memory), params.flags,
                             std::move(poller), std::move(watch));
}

// What `arg` of io_uring_enter(2) holds: a signal set, or with EXT_ARG a time limit too.
struct WaitArgument {
    uint64_t mask = 0;
    size_t mask_size = 0;
    Deadline deadline = Deadline::never();
};

Result<WaitArgument> read_wait_argument(uint64_t address, size_t size, unsigned flags) {
    WaitArgument argument;
    if (!(flags & IORING_ENTER_EXT_ARG)) {
        argument.mask = address;
        argument.mask_size = size;
        return argument;
    }
    if (size != sizeof(io_uring_getevents_arg)) return Error(EINVAL);
    const auto given = TRY(UserIn<io_uring_getevents_arg>(address).read());
    if (given.pad != 0) return Error(EINVAL);
    argument.mask = given.sigmask;
    argument.mask_size = given.sigmask_sz;
    if (given.ts != 0) {
        const timespec time = TRY(UserIn<timespec>(given.ts).read());
        if (!is_valid(time)) return Error(EINVAL);
        argument.deadline = Deadline::after(to_ns(time));
    }
    return argument;
}

// The thread of a ring that polls does it, and is believed to have done.
Result<unsigned> submit(IoUring& ring, unsigned count, unsigned flags) {
    if (!ring.poller()) return ring.submit(count);
    if (flags & IORING_ENTER_SQ_WAKEUP) ring.poller()->wake();
    if (flags & IORING_ENTER_SQ_WAIT) ring.wait_for_room();
    return count;
}

Result<void> wait_for_completions(IoUring& ring, unsigned count, const WaitArgument& argument) {
    TRY(set_temporary_signal_mask(argument.mask, argument.mask_size));
    Result<void> waited = ring.wait_for(count, argument.deadline);
    restore_signal_mask(waited.error_code() == EINTR);
    return waited;
}

Result<long> register_buffers(IoUring& ring, UserIn<iovec> from, unsigned count) {
    if (ring.buffer_count != 0) return Error(EBUSY);
    if (count == 0 || count > kMaxBuffers) return Error(EINVAL);
    std::unique_ptr<IoUring::FixedBuffer[]> buffers(new (std::nothrow) IoUring::FixedBuffer[count]);
    if (!buffers) return Error(ENOMEM);
    for (unsigned i = 0; i < count; i++) {
        const iovec each = TRY(from.read(i));
        const auto address = reinterpret_cast<uint64_t>(each.iov_base);
        if (address == 0 && each.iov_len != 0) return Error(EFAULT);
        if (!is_user_range(address, each.iov_len)) return Error(EFAULT);
        buffers[i] = {address, each.iov_len};
    }
    ring.buffers = std::move(buffers);
    ring.buffer_count = count;
    return 0;
}

// -1 leaves a slot empty.
Result<void> set_file(RefPtr<File>& slot, int fd) {
    slot = nullptr;
    if (fd == -1) return {};
    RefPtr<File> file = TRY(current_process()->descriptors->get(fd));
    if (file_as<IoUring>(*file)) return Error(EBADF);
    slot = std::move(file);
    return {};
}

Result<long> register_files(IoUring& ring, UserIn<int> from, unsigned count) {
    if (ring.file_count != 0) return Error(EBUSY);
    if (count == 0) return Error(EINVAL);
    if (count > kMaxFiles) return Error(EMFILE);
    std::unique_ptr<RefPtr<File>[]> files(new (std::nothrow) RefPtr<File>[count]);
    if (!files) return Error(ENOMEM);
    for (unsigned i = 0; i < count; i++) TRY(set_file(files[i], TRY(from.read(i))));
    ring.files = std::move(files);
    ring.file_count = count;
    return 0;
}

Result<long> update_files(IoUring& ring, UserIn<io_uring_files_update> from, unsigned count) {
    const io_uring_files_update update = TRY(from.read());
    if (update.resv != 0) return Error(EINVAL);
    if (ring.file_count == 0) return Error(ENXIO);
    if (update.offset > ring.file_count || count > ring.file_count - update.offset) {
        return Error(EINVAL);
    }
    constexpr int kSkip = -2;  // IORING_REGISTER_FILES_SKIP
    UserIn<int> fds(update.fds);
    for (unsigned i = 0; i < count; i++) {
        const int fd = TRY(fds.read(i));
        if (fd != kSkip) TRY(set_file(ring.files[update.offset + i], fd));
    }
    return count;
}

Result<long> unregister_files(IoUring& ring) {
    if (ring.file_count == 0) return Error(ENXIO);
    ring.file_count = 0;
    ring.files = nullptr;
    return 0;
}

Result<long> unregister_buffers(IoUring& ring) {
    if (ring.buffer_count == 0) return Error(ENXIO);
    ring.buffer_count = 0;
    ring.buffers = nullptr;
    return 0;
}

Result<long> register_eventfd(IoUring& ring, UserIn<int> from) {
    if (ring.event_file) return Error(EBUSY);
    RefPtr<File> file = TRY(current_process()->descriptors->get(TRY(from.read())));
    if (file->kind() != FileKind::kEventFd) return Error(EINVAL);
    ring.event_file = std::move(file);
    return 0;
}

Result<long> probe(uint64_t address, unsigned count) {
    count = std::min<unsigned>(count, IORING_OP_LAST);
    io_uring_probe head = {};
    head.last_op = IORING_OP_LAST - 1;
    head.ops_len = static_cast<uint8_t>(count);
    TRY(UserOut<io_uring_probe>(address).write(head));
    UserOut<io_uring_probe_op> to(address + sizeof(head));
    for (unsigned i = 0; i < count; i++) {
        io_uring_probe_op operation = {};
        operation.op = static_cast<uint8_t>(i);
        if (is_supported_operation(i)) operation.flags = IO_URING_OP_SUPPORTED;
        TRY(to.write(operation, i));
    }
    return 0;
}

}  // namespace

Result<long> sys_io_uring_setup(unsigned entries, unsigned long params_address) {
    UserInOut<io_uring_params> pointer(params_address);
    io_uring_params params = TRY(pointer.read());
    for (uint32_t word : params.resv) {
        if (word != 0) return Error(EINVAL);
    }
    TRY(check_setup_flags(params.flags));
    const bool clamps = params.flags & IORING_SETUP_CLAMP;
    params.sq_entries = TRY(ring_size(entries, RingMemory::kMaxEntries, clamps));
    params.cq_entries = params.sq_entries * 2;
    if (params.flags & IORING_SETUP_CQSIZE) {
        const auto asked = TRY(pointer.read()).cq_entries;
        params.cq_entries = TRY(ring_size(asked, 2 * RingMemory::kMaxEntries, clamps));
        if (params.cq_entries < params.sq_entries) return Error(EINVAL);
    }
    params.features = kFeatures;
    RefPtr<RingMemory> memory = TRY(RingMemory::create(params.sq_entries, params.cq_entries));
    memory->fill_offsets(params);
    RefPtr<IoUring> ring = TRY(make_ring(params, std::move(memory)));
    TRY(pointer.write(params));
    return install_descriptor(std::move(ring), O_RDWR | O_CLOEXEC);
}

Result<long> sys_io_uring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                                unsigned long arg, size_t size) {
    constexpr unsigned kKnown = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP |
                                IORING_ENTER_SQ_WAIT | IORING_ENTER_EXT_ARG;
    if (flags & ~kKnown) return Error(EINVAL);
    RefPtr<IoUring> ring = TRY(get_ring(fd));
    if (!ring->is_enabled()) return Error(EBADFD);
    const unsigned submitted = TRY(submit(*ring, to_submit, flags));
    if (submitted != to_submit || !(flags & IORING_ENTER_GETEVENTS)) {
        return static_cast<long>(submitted);
    }
    Result<WaitArgument> argument = read_wait_argument(arg, size, flags);
    Result<void> waited = argument.ok() ? wait_for_completions(*ring, min_complete, *argument)
                                        : Result<void>(argument.error());
    if (!waited.ok() && submitted == 0) return waited.error();
    return static_cast<long>(submitted);
}

Result<long> sys_io_uring_register(int fd, unsigned opcode, unsigned long arg, unsigned count) {
    RefPtr<IoUring> ring = TRY(get_ring(fd));
    switch (opcode) {
        case IORING_REGISTER_BUFFERS:
            return register_buffers(*ring, UserIn<iovec>(arg), count);
        case IORING_UNREGISTER_BUFFERS:
            return arg != 0 || count != 0 ? Result<long>(Error(EINVAL)) : unregister_buffers(*ring);
        case IORING_REGISTER_FILES:
            return register_files(*ring, UserIn<int>(arg), count);
        case IORING_REGISTER_FILES_UPDATE:
            return update_files(*ring, UserIn<io_uring_files_update>(arg), count);
        case IORING_UNREGISTER_FILES:
            return arg != 0 || count != 0 ? Result<long>(Error(EINVAL)) : unregister_files(*ring);
        case IORING_REGISTER_EVENTFD:
        case IORING_REGISTER_EVENTFD_ASYNC:
            return count != 1 ? Result<long>(Error(EINVAL))
                              : register_eventfd(*ring, UserIn<int>(arg));
        case IORING_UNREGISTER_EVENTFD:
            if (!ring->event_file) return Error(ENXIO);
            ring->event_file = nullptr;
            return 0;
        case IORING_REGISTER_PROBE:
            if (arg == 0 || count > 256) return Error(EINVAL);
            return probe(arg, count);
        case IORING_REGISTER_ENABLE_RINGS:
            if (ring->is_enabled()) return Error(EBADFD);
            ring->enable();
            return 0;
        default:
            return Error(EINVAL);
    }
}

}  // namespace coracle
