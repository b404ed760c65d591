// Writes netlink messages (RFC 3549, 2.2; linux/netlink.h) into one buffer.
#pragma once

#include <linux/netlink.h>

#include <cstring>
#include <string_view>

#include "libposix/net/buffer.h"

namespace coracle::net {

class MessageWriter {
  public:
    // One answer's worth; what does not fit begins the next one.
    static constexpr size_t kCapacity = buffer_capacity(3);

    explicit MessageWriter(Buffer& to) : to_(to) {}

    // Whether a message of up to this size would still fit.
    bool has_room(size_t size) const { return to_.tailroom() >= size; }

    // Begins a message with its family's header.
    template <typename Body>
    void begin(uint16_t type, uint16_t flags, uint32_t sequence, uint32_t port, const Body& body) {
        start_ = to_.length();
        nlmsghdr header{0, type, flags, sequence, port};
        put(&header, sizeof(header));
        put(&body, sizeof(body));
    }
    void attribute(uint16_t type, const void* data, size_t size) {
        nlattr header{static_cast<uint16_t>(sizeof(nlattr) + size), type};
        put(&header, sizeof(header));
        put(data, size);
    }
    template <typename T>
    void attribute(uint16_t type, const T& value) {
        attribute(type, &value, sizeof(value));
    }
    void string_attribute(uint16_t type, std::string_view text) {
        char bytes[64] = {};
        size_t size = text.copy(bytes, sizeof(bytes) - 1);
        attribute(type, bytes, size + 1);
    }
    void end() {
        auto length = static_cast<uint32_t>(to_.length() - start_);
        memcpy(to_.data() + start_, &length, sizeof(length));
    }

  private:
    void put(const void* data, size_t size) {
        size_t padded = NLMSG_ALIGN(size);
        uint8_t* at = to_.append(padded);
        memset(at, 0, padded);
        memcpy(at, data, size);
    }
    Buffer& to_;
    size_t start_ = 0;
};

}  // namespace coracle::net
