// The options of SOL_SOCKET that mean the same for all families (man 7 socket), in one place.
#pragma once

#include <sys/socket.h>

#include <cstdint>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/net/filter/bpf_program.h"

namespace coracle {

class Socket;

constexpr uint32_t kMaxBuffer = 212992;       // net.core.{w,r}mem_max and _default
constexpr uint32_t kMinSendBuffer = 4608;     // SOCK_MIN_SNDBUF
constexpr uint32_t kMinReceiveBuffer = 2304;  // SOCK_MIN_RCVBUF
constexpr uint32_t kMaxBacklog = 4096;        // net.core.somaxconn
constexpr uint64_t kNoTimeout = UINT64_MAX;

struct PeerCredentials {  // struct ucred
    uint32_t pid = 0, uid = ~0u, gid = ~0u;
};

// Families read what they honour; Socket::option_changed() tells of changes.
struct SocketOptions {
    uint32_t send_buffer = kMaxBuffer, receive_buffer = kMaxBuffer;  // as SO_SNDBUF shows them
    bool send_buffer_locked = false, receive_buffer_locked = false;  // set by hand: no autotuning
    uint64_t send_timeout_ns = kNoTimeout, receive_timeout_ns = kNoTimeout;  // 0: at once
    int receive_low_water = 1;
    bool linger = false;
    uint32_t linger_seconds = 0;
    uint32_t priority = 0, mark = 0;
    int busy_poll_us = 0;
    int incoming_cpu = -1;
    int peek_offset = -1;  // SO_PEEK_OFF; -1: off
    int bound_device = 0;  // interface index
    uint64_t max_pacing_rate = UINT64_MAX;
    // A bit of flags, numbered by SO_*: the options that are on or off.
    uint64_t flags = 0;
    int timestamp = 0;          // SO_TIMESTAMP, SO_TIMESTAMPNS or their _NEW; 0: off
    uint32_t timestamping = 0;  // SOF_TIMESTAMPING_*
    RefPtr<net::BpfProgram> filter;  // SO_ATTACH_FILTER; null: none

    bool is_on(int option) const { return flags >> option & 1; }
    void set(int option, bool on) {
        const uint64_t bit = uint64_t{1} << option;
        flags = on ? flags | bit : flags & ~bit;
    }
};

// Where getsockopt(2)'s answer goes.
class OptionWriter {
  public:
    // EFAULT, EINVAL: the length.
    static Result<OptionWriter> create(UserOut<char> value, UserInOut<unsigned> length);
    size_t room() const { return room_; }
    uint64_t address() const { return value_.address(); }

    // Cut to the room; the length becomes what was written. EFAULT.
    Result<void> put(const void* data, size_t size) const;
    template <typename T>
    Result<void> put_value(const T& value) const {
        return put(&value, sizeof(value));
    }
    // The length alone.
    Result<void> put_length(size_t size) const;

  private:
    OptionWriter(UserOut<char> value, UserInOut<unsigned> length, size_t room)
        : value_(value), length_(length), room_(room) {}
    UserOut<char> value_;
    UserInOut<unsigned> length_;
    size_t room_;
};

// setsockopt(2)'s value as an int, which is what nearly all options are. EINVAL: it is shorter;
// EFAULT.
Result<int> read_option(UserIn<char> value, unsigned length);
template <typename T>
Result<T> read_option_as(UserIn<char> value, unsigned length) {
    if (length < sizeof(T)) return Error(EINVAL);
    return UserIn<T>(value.address()).read();
}

// Level SOL_SOCKET. ENOPROTOOPT, EINVAL, EPERM, EDOM, EFAULT.
Result<void> set_socket_option(Socket& socket, int option, UserIn<char> value, unsigned length);
Result<void> get_socket_option(Socket& socket, int option, const OptionWriter& to);

}  // namespace coracle
