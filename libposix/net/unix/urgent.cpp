// MSG_OOB of AF_UNIX streams: one byte that is read out of turn. It lies in the queue in a packet
// of its own; when it has been read, the empty packet stays as the mark at which reads stop.
#include <sys/ioctl.h>

#include "libposix/net/unix/unix_socket.h"

namespace coracle {

UnixSocket::Position UnixSocket::find_data(size_t skip, bool peeks, bool has_data) {
    UnixEndpoint& endpoint = *endpoint_;
    net::Buffer* packet = endpoint.queue.first();
    // A read is always at the first packet.
    auto pass = [&] {
        if (peeks) {
            packet = UnixMessageQueue::after(packet);
        } else {
            endpoint.queue.pop();
            packet = endpoint.queue.first();
        }
    };
    while (packet) {
        const size_t length = message_of(*packet).length;
        const bool ends_here = has_data && skip == 0;
        if (length == 0) {
            if (ends_here && !endpoint.urgent) return {nullptr, 0, true};
            pass();
            continue;
        }
        if (packet == endpoint.urgent) [[unlikely]] {
            if (ends_here) return {nullptr, 0, true};
            if (!peeks) endpoint.urgent = nullptr;
            if (!options.is_on(SO_OOBINLINE)) {
                pass();
                continue;
            }
        }
        if (skip < length) return {packet, skip, false};
        skip -= length;
        packet = UnixMessageQueue::after(packet);
    }
    return {nullptr, 0, false};
}

Result<size_t> UnixSocket::receive_urgent(ReceiveMessage& message) {
    UnixEndpoint& endpoint = *endpoint_;
    SleepLockGuard guard(endpoint.reading);
    if (options.is_on(SO_OOBINLINE) || !endpoint.urgent) return Error(EINVAL);
    net::Buffer& packet = *endpoint.urgent;
    const uint8_t byte = *packet.data();
    if (!(message.flags & MSG_PEEK)) {
        endpoint.urgent = nullptr;
        endpoint.queue.consume(packet, 1);
    }
    if (message.data.copy_out(&byte, 1) != 1) return Error(EFAULT);
    message.result_flags |= MSG_OOB;
    return size_t{1};
}

bool UnixSocket::is_at_mark() const {
    const UnixEndpoint& endpoint = *endpoint_;
    net::Buffer* first = endpoint.queue.first();
    if (!first || type() != SOCK_STREAM) return false;
    if (first == endpoint.urgent) return true;
    return message_of(*first).length == 0 &&
           (!endpoint.urgent || UnixMessageQueue::after(first) == endpoint.urgent);
}

Result<long> UnixSocket::ioctl(uint32_t command, uint64_t argument) {
    if (command != SIOCATMARK) return Socket::ioctl(command, argument);
    TRY(UserOut<int>(argument).write(is_at_mark()));
    return 0;
}

}  // namespace coracle
