#include "libposix/net/socket_address.h"

#include <algorithm>

namespace coracle {

Result<void> SocketAddress::read(UserIn<char> from, unsigned user_length) {
    if (user_length > sizeof(bytes)) return Error(EINVAL);
    length = user_length;
    if (length == 0) return {};
    return from.read_array(bytes, length);
}

Result<void> SocketAddress::write(UserOut<char> to, UserInOut<unsigned> user_length) const {
    const auto room = static_cast<int>(TRY(user_length.read()));
    if (room < 0) return Error(EINVAL);
    TRY(to.write_array(bytes, std::min(length, static_cast<uint32_t>(room))));
    return user_length.write(length);
}

}  // namespace coracle
