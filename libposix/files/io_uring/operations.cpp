#include "libposix/files/io_uring/operations.h"

#include <fcntl.h>

#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

using Wake = IoUringRequest::Wake;

int error_number(int error) {
    return error >= kErestartsys ? EINTR : error;
}

// Operations that name a file by sqe.fd.
bool takes_file(unsigned opcode) {
    switch (opcode) {
        case IORING_OP_READV:
        case IORING_OP_WRITEV:
        case IORING_OP_READ_FIXED:
        case IORING_OP_WRITE_FIXED:
        case IORING_OP_READ:
        case IORING_OP_WRITE:
        case IORING_OP_FSYNC:
        case IORING_OP_POLL_ADD:
        case IORING_OP_SENDMSG:
        case IORING_OP_RECVMSG:
        case IORING_OP_SEND:
        case IORING_OP_RECV:
        case IORING_OP_ACCEPT:
        case IORING_OP_CONNECT:
        case IORING_OP_FALLOCATE:
        case IORING_OP_SHUTDOWN:
            return true;
        default:
            return false;
    }
}

Result<void> find_file(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    if (!(sqe.flags & IOSQE_FIXED_FILE)) {
        BorrowedFile file = current_process()->descriptors->borrow(sqe.fd);
        if (!file) return Error(EBADF);
        request.file = RefPtr<File>(file.get());
        return {};
    }
    const auto index = static_cast<unsigned>(sqe.fd);
    if (index >= request.ring.file_count || !request.ring.files[index]) return Error(EBADF);
    request.file = request.ring.files[index];
    return {};
}

Result<long> sync_file(File& file, const io_uring_sqe& sqe) {
    if (sqe.fsync_flags & ~uint32_t{IORING_FSYNC_DATASYNC}) return Error(EINVAL);
    TRY(file.sync(sqe.fsync_flags & IORING_FSYNC_DATASYNC));
    return 0;
}

// The calls that never wait are carried out as such.
Result<long> call(IoUringRequest& request) {
    const io_uring_sqe& sqe = request.sqe;
    switch (sqe.opcode) {
        case IORING_OP_NOP:
            return 0;
        case IORING_OP_FSYNC:
            return sync_file(*request.file, sqe);
        case IORING_OP_FALLOCATE:
            TRY(request.file->allocate(static_cast<int>(sqe.len), sqe.off, sqe.addr));
            return 0;
        case IORING_OP_OPENAT:
            return sys_openat(sqe.fd, UserIn<char>(sqe.addr), static_cast<int>(sqe.open_flags),
                              sqe.len);
        case IORING_OP_OPENAT2:
            return sys_openat2(sqe.fd, UserIn<char>(sqe.addr), UserIn<struct open_how>(sqe.off),
                               sqe.len);
        case IORING_OP_CLOSE:
            return sys_close(sqe.fd);
        case IORING_OP_STATX:
            return sys_statx(sqe.fd, UserIn<char>(sqe.addr), static_cast<int>(sqe.statx_flags),
                             sqe.len, UserOut<struct statx>(sqe.off));
        case IORING_OP_FADVISE:
            return sys_fadvise64(sqe.fd, static_cast<int64_t>(sqe.off), sqe.len,
                                 static_cast<int>(sqe.fadvise_advice));
        case IORING_OP_MADVISE:
            return sys_madvise(sqe.addr, sqe.len, static_cast<int>(sqe.fadvise_advice));
        case IORING_OP_RENAMEAT:
            return sys_renameat2(sqe.fd, UserIn<char>(sqe.addr), static_cast<int>(sqe.len),
                                 UserIn<char>(sqe.off), sqe.rename_flags);
        case IORING_OP_UNLINKAT:
            return sys_unlinkat(sqe.fd, UserIn<char>(sqe.addr), static_cast<int>(sqe.unlink_flags));
        case IORING_OP_MKDIRAT:
            return sys_mkdirat(sqe.fd, UserIn<char>(sqe.addr), sqe.len);
        case IORING_OP_SYMLINKAT:
            return sys_symlinkat(UserIn<char>(sqe.addr), sqe.fd, UserIn<char>(sqe.off));
        case IORING_OP_LINKAT:
            return sys_linkat(sqe.fd, UserIn<char>(sqe.addr), static_cast<int>(sqe.len),
                              UserIn<char>(sqe.off), static_cast<int>(sqe.hardlink_flags));
        case IORING_OP_EPOLL_CTL:
            return sys_epoll_ctl(sqe.fd, static_cast<int>(sqe.len), static_cast<int>(sqe.off),
                                 UserIn<struct epoll_event>(sqe.addr));
        default:
            return Error(EINVAL);
    }
}

IoUringOutcome issue_checked(IoUringRequest& request) {
    switch (request.sqe.opcode) {
        case IORING_OP_READV:
        case IORING_OP_WRITEV:
        case IORING_OP_READ_FIXED:
        case IORING_OP_WRITE_FIXED:
        case IORING_OP_READ:
        case IORING_OP_WRITE:
            return issue_transfer(request);
        case IORING_OP_POLL_ADD:
            return issue_poll(request);
        case IORING_OP_POLL_REMOVE:
        case IORING_OP_ASYNC_CANCEL:
            return issue_cancel(request);
        case IORING_OP_TIMEOUT:
        case IORING_OP_TIMEOUT_REMOVE:
            return issue_timer(request);
        case IORING_OP_SENDMSG:
        case IORING_OP_RECVMSG:
        case IORING_OP_SEND:
        case IORING_OP_RECV:
        case IORING_OP_ACCEPT:
        case IORING_OP_CONNECT:
        case IORING_OP_SHUTDOWN:
            return issue_socket(request);
        default:
            return outcome_of(call(request));
    }
}

}  // namespace

IoUringOutcome outcome_of(Result<long>&& result) {
    if (result.ok()) return {.result = static_cast<int32_t>(*result)};
    return {.result = -error_number(result.error_code()), .failed = true};
}

IoUringOutcome wait_for_events(IoUringRequest& request, uint32_t events) {
    request.ring.wait_for_events(request, events);
    return {.waits = true};
}

IoUringOutcome issue_request(IoUringRequest& request) {
    constexpr unsigned kKnownFlags = IOSQE_FIXED_FILE | IOSQE_IO_DRAIN | IOSQE_IO_LINK |
                                     IOSQE_IO_HARDLINK | IOSQE_ASYNC | IOSQE_CQE_SKIP_SUCCESS;
    if (request.wake == Wake::kCancel) return outcome_of(Error(ECANCELED));
    if (request.wake == Wake::kNone) {
        if (request.sqe.flags & IOSQE_BUFFER_SELECT) return outcome_of(Error(EOPNOTSUPP));
        if (request.sqe.flags & ~kKnownFlags) return outcome_of(Error(EINVAL));
        if (request.sqe.personality != 0) return outcome_of(Error(EINVAL));
        if (takes_file(request.sqe.opcode)) {
            Result<void> found = find_file(request);
            if (!found.ok()) return outcome_of(found.error());
        }
    }
    return issue_checked(request);
}

bool is_supported_operation(unsigned opcode) {
    if (takes_file(opcode)) return true;
    switch (opcode) {
        case IORING_OP_NOP:
        case IORING_OP_POLL_REMOVE:
        case IORING_OP_TIMEOUT:
        case IORING_OP_TIMEOUT_REMOVE:
        case IORING_OP_ASYNC_CANCEL:
        case IORING_OP_LINK_TIMEOUT:
        case IORING_OP_OPENAT:
        case IORING_OP_OPENAT2:
        case IORING_OP_CLOSE:
        case IORING_OP_STATX:
        case IORING_OP_FADVISE:
        case IORING_OP_MADVISE:
        case IORING_OP_RENAMEAT:
        case IORING_OP_UNLINKAT:
        case IORING_OP_MKDIRAT:
        case IORING_OP_SYMLINKAT:
        case IORING_OP_LINKAT:
        case IORING_OP_EPOLL_CTL:
            return true;
        default:
            return false;
    }
}

}  // namespace coracle
