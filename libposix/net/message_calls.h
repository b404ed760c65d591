// The socket calls on sockets that are found already: for io_uring as well.
#pragma once

#include "libposix/net/socket.h"

namespace coracle {

// sendmsg(2) and recvmsg(2) with the application's struct msghdr at `header`. MSG_DONTWAIT is
// added for sockets that do not block.
Result<size_t> send_message(Socket& socket, uint64_t header, uint32_t flags);
Result<size_t> receive_message(Socket& socket, uint64_t header, uint32_t flags);
// send(2) and recv(2).
Result<size_t> send_bytes(Socket& socket, uint64_t address, size_t count, uint32_t flags);
Result<size_t> receive_bytes(Socket& socket, uint64_t address, size_t count, uint32_t flags);
// accept4(2). The new descriptor.
Result<long> accept_connection(Socket& socket, bool nonblocking, UserOut<char> address,
                               UserInOut<unsigned> length, int flags);

}  // namespace coracle
