// A socket address inside the kernel, and its ways in and out of application memory.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "kernel-min/lib/user_ptr.h"

namespace coracle {

struct SocketAddress {
    uint32_t length = 0;  // bytes that count; 0: none
    union {
        sockaddr any;
        sockaddr_storage storage;
        char bytes[sizeof(sockaddr_storage)];
    };

    SocketAddress() {}
    // Precondition: length >= sizeof(sa_family_t).
    sa_family_t family() const { return any.sa_family; }

    template <typename T>
    T& as() {
        static_assert(sizeof(T) <= sizeof(bytes));
        return *reinterpret_cast<T*>(bytes);
    }
    template <typename T>
    const T& as() const {
        return *reinterpret_cast<const T*>(bytes);
    }

    // EINVAL: longer than any address; EFAULT.
    Result<void> read(UserIn<char> from, unsigned user_length);
    // Cuts it to what the caller has room for, and tells its full length (getsockname(2)).
    // EINVAL: a negative length; EFAULT.
    Result<void> write(UserOut<char> to, UserInOut<unsigned> user_length) const;
};

}  // namespace coracle
