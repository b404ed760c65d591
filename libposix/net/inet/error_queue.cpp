#include "libposix/net/inet/error_queue.h"

#include <linux/errqueue.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/inet/socket_endpoint.h"

namespace coracle::net {

void ErrorQueue::push(const QueuedError& error, std::span<const uint8_t> payload) {
    BufferPtr queued = Buffer::allocate(payload.size());
    if (!queued) return;
    if (!payload.empty()) memcpy(queued->append(payload.size()), payload.data(), payload.size());
    queued->control<QueuedError>() = error;
    memory_ += queued->memory_size();
    queue_.push_back(std::move(queued));
}

void ErrorQueue::push_zero_copy(uint32_t number, bool is_copied) {
    if (Buffer* tail = queue_.last()) {
        QueuedError& before = tail->control<QueuedError>();
        if (before.origin == SO_EE_ORIGIN_ZEROCOPY && before.data + 1 == number) {
            before.data = number;
            return;
        }
    }
    push({.destination = {},
          .offender = {},
          .error = 0,
          .info = number,
          .data = number,
          .port = 0,
          .origin = SO_EE_ORIGIN_ZEROCOPY,
          .type = 0,
          .code = is_copied ? uint8_t{SO_EE_CODE_ZEROCOPY_COPIED} : uint8_t{0}});
}

Result<size_t> ErrorQueue::receive(int family, ReceiveMessage& message) {
    BufferPtr queued = queue_.pop_front();
    if (!queued) return Error(EAGAIN);
    memory_ -= queued->memory_size();
    const QueuedError error = queued->control<QueuedError>();
    const size_t size = std::min<size_t>(queued->length(), message.data.size());
    if (size < queued->length()) message.result_flags |= MSG_TRUNC;
    if (message.data.copy_out(queued->data(), size) != size) return Error(EFAULT);
    const bool has_address = error.origin != SO_EE_ORIGIN_ZEROCOPY;
    if (message.from && has_address) {
        write_endpoint(family, {error.destination, error.port, 0}, *message.from);
    }
    struct {
        sock_extended_err error;
        union {
            sockaddr_in v4;
            sockaddr_in6 v6;
        } offender;
    } report{};
    report.error = {.ee_errno = error.error,
                    .ee_origin = error.origin,
                    .ee_type = error.type,
                    .ee_code = error.code,
                    .ee_pad = 0,
                    .ee_info = error.info,
                    .ee_data = error.data};
    if (has_address && error.origin != SO_EE_ORIGIN_LOCAL) {
        SocketAddress offender;
        write_endpoint(family, {error.offender, 0, 0}, offender);
        memcpy(&report.offender, offender.bytes, offender.length);
    }
    const bool is_v4 = family == AF_INET;
    const size_t report_size =
        sizeof(sock_extended_err) + (is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
    message.put_control(is_v4 ? SOL_IP : SOL_IPV6, is_v4 ? IP_RECVERR : IPV6_RECVERR, &report,
                        report_size);
    message.result_flags |= MSG_ERRQUEUE;
    return size;
}

int ErrorQueue::first_error() const {
    return is_empty() ? 0 : static_cast<int>(queue_.first()->control<QueuedError>().error);
}

}  // namespace coracle::net
