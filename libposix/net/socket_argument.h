// The descriptor that a socket call was given.
#pragma once

#include "libposix/files/descriptor_table.h"
#include "libposix/net/socket.h"

namespace coracle {

// A Socket for the length of a call, as BorrowedFile.
class BorrowedSocket {
  public:
    // EBADF, ENOTSOCK.
    static Result<BorrowedSocket> find(int fd);
    Socket* operator->() const { return file_->socket(); }
    Socket& operator*() const { return *file_->socket(); }

  private:
    explicit BorrowedSocket(BorrowedFile file) : file_(std::move(file)) {}
    BorrowedFile file_;
};

}  // namespace coracle
