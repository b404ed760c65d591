// io_uring: the operations on sockets.
#include <poll.h>

#include "libposix/files/io_uring/operations.h"
#include "libposix/net/message_calls.h"

namespace coracle {
namespace {

Result<long> to_long(Result<size_t> count) {
    if (!count.ok()) return count.error();
    return static_cast<long>(*count);
}

// Establishes the connection, or learns how that went.
IoUringOutcome connect(IoUringRequest& request, Socket& socket) {
    if (request.has_started) {
        if (int error = socket.take_error(); error != 0) return outcome_of(Error(error));
        return {};
    }
    const io_uring_sqe& sqe = request.sqe;
    SocketAddress address;
    Result<void> read = address.read(UserIn<char>(sqe.addr), static_cast<unsigned>(sqe.addr2));
    if (!read.ok()) return outcome_of(read.error());
    Result<void> connected = socket.connect(address, true);
    if (connected.error_code() != EINPROGRESS) {
        return outcome_of(connected.ok() ? Result<long>(0) : connected.error());
    }
    request.has_started = true;
    return wait_for_events(request, POLLOUT);
}

Result<long> send_or_receive(const io_uring_sqe& sqe, Socket& socket) {
    const uint32_t flags = sqe.msg_flags | MSG_DONTWAIT;
    switch (sqe.opcode) {
        case IORING_OP_SENDMSG:
            return to_long(send_message(socket, sqe.addr, flags));
        case IORING_OP_RECVMSG:
            return to_long(receive_message(socket, sqe.addr, flags));
        case IORING_OP_SEND:
            return to_long(send_bytes(socket, sqe.addr, sqe.len, flags));
        default:
            return to_long(receive_bytes(socket, sqe.addr, sqe.len, flags));
    }
}

}  // namespace

IoUringOutcome issue_socket(IoUringRequest& request) {
    Socket* socket = request.file->socket();
    if (!socket) return outcome_of(Error(ENOTSOCK));
    const io_uring_sqe& sqe = request.sqe;
    switch (sqe.opcode) {
        case IORING_OP_CONNECT:
            return connect(request, *socket);
        case IORING_OP_SHUTDOWN: {
            const int how = static_cast<int>(sqe.len);
            if (how < SHUT_RD || how > SHUT_RDWR) return outcome_of(Error(EINVAL));
            Result<void> done = socket->shutdown(how);
            return outcome_of(done.ok() ? Result<long>(0) : done.error());
        }
        case IORING_OP_ACCEPT:
            if (sqe.file_index != 0 || sqe.ioprio != 0) return outcome_of(Error(EINVAL));
            return try_or_wait(request, POLLIN, [&] {
                return accept_connection(*socket, true, UserOut<char>(sqe.addr),
                                         UserInOut<unsigned>(sqe.addr2),
                                         static_cast<int>(sqe.accept_flags));
            });
        default: {
            if (sqe.ioprio != 0) return outcome_of(Error(EINVAL));
            const bool sends = sqe.opcode == IORING_OP_SEND || sqe.opcode == IORING_OP_SENDMSG;
            if (sqe.msg_flags & MSG_DONTWAIT) return outcome_of(send_or_receive(sqe, *socket));
            return try_or_wait(request, sends ? POLLOUT : POLLIN,
                               [&] { return send_or_receive(sqe, *socket); });
        }
    }
}

}  // namespace coracle
