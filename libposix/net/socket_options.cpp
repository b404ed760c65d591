#include "libposix/net/socket_options.h"

#include <linux/net_tstamp.h>
#include <sys/time.h>

#include <algorithm>

#include "libposix/net/bound_device.h"
#include "libposix/net/filter/filter_options.h"
#include "libposix/net/socket.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"

namespace coracle {
namespace {

// Newer than the C library's headers, or known to them under other names.
constexpr int kRcvTimeoNew = 66, kSndTimeoNew = 67;
constexpr int kTimestampOld = 29, kTimestampNsOld = 35, kTimestampingOld = 37;
constexpr int kTimestampNew = 63, kTimestampNsNew = 64, kTimestampingNew = 65;
constexpr int kNetworkCookie = 71, kBufferLock = 72, kReserveMemory = 73;
constexpr int kSendLocked = 1, kReceiveLocked = 2;  // SOCK_SNDBUF_LOCK, SOCK_RCVBUF_LOCK
constexpr uint64_t kInitialNetwork = 1;             // the cookie of the only one
// struct so_timestamping
struct Timestamping {
    uint32_t flags, clock;
};
constexpr uint32_t kTimestampingMask = 0xffff;  // SOF_TIMESTAMPING_MASK of Linux 6.1
constexpr uint32_t kMaxFreePriority = 6;

bool has_capability(Capability capability) {
    return current_credentials().has_capability(capability);
}
bool may_administer() {
    return has_capability(kCapNetRaw) || has_capability(kCapNetAdmin);
}

// Linux doubles what is asked for, to make up for its own structures.
uint32_t buffer_size(int asked, uint32_t minimum, bool limited) {
    uint32_t size = limited ? std::min(static_cast<uint32_t>(asked), kMaxBuffer)
                            : static_cast<uint32_t>(std::clamp(asked, 0, INT32_MAX / 2));
    return std::max(size * 2, minimum);
}

Result<uint64_t> read_timeout(UserIn<char> value, unsigned length) {
    timeval time = TRY(read_option_as<timeval>(value, length));
    if (time.tv_usec < 0 || time.tv_usec >= 1000000) return Error(EDOM);
    if (time.tv_sec < 0) return uint64_t{0};
    if (time.tv_sec == 0 && time.tv_usec == 0) return kNoTimeout;
    return to_ns(time);
}

timeval show_timeout(uint64_t timeout_ns) {
    return timeout_ns == kNoTimeout ? timeval{0, 0} : to_timeval(timeout_ns);
}

Result<void> set_linger(SocketOptions& options, UserIn<char> value, unsigned length) {
    linger given = TRY(read_option_as<linger>(value, length));
    options.linger = given.l_onoff != 0;
    if (options.linger) options.linger_seconds = static_cast<uint32_t>(given.l_linger);
    return {};
}

// What comes gets a time for SO_TIMESTAMPING alone, too. Its bit of the flags says that it was
// asked for by its new number.
void choose_stamping(SocketOptions& options) {
    const bool is_wanted = options.timestamping & SOF_TIMESTAMPING_RX_SOFTWARE;
    if (is_wanted && options.timestamp == 0) options.timestamp = kTimestampingOld;
    if (!is_wanted && options.timestamp == kTimestampingOld) options.timestamp = 0;
}

// The options that are on or off (SocketOptions::flags).
constexpr uint64_t kOnOffOptions = [] {
    uint64_t bits = 0;
    for (int option :
         {SO_DEBUG, SO_REUSEADDR, SO_REUSEPORT, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE,
          SO_OOBINLINE, SO_NO_CHECK, SO_PASSCRED, SO_PASSSEC, SO_RXQ_OVFL, SO_WIFI_STATUS, SO_NOFCS,
          SO_LOCK_FILTER, SO_SELECT_ERR_QUEUE, SO_ZEROCOPY}) {
        bits |= uint64_t{1} << option;
    }
    return bits;
}();
bool is_on_off(int option) {
    return option >= 0 && option < 64 && (kOnOffOptions >> option & 1) != 0;
}

Result<void> set_on_off(Socket& socket, int option, int value) {
    if (!is_on_off(option)) return Error(ENOPROTOOPT);
    const bool on = value != 0;
    if (option == SO_DEBUG && on && !has_capability(kCapNetAdmin)) return Error(EACCES);
    if (option == SO_LOCK_FILTER && !on && socket.options.is_on(option)) return Error(EPERM);
    if (option == SO_ZEROCOPY && !socket.has_zero_copy()) return Error(EOPNOTSUPP);
    if (option == SO_ZEROCOPY && (value < 0 || value > 1)) return Error(EINVAL);
    socket.options.set(option, on);
    return {};
}

Result<void> set_value(Socket& socket, int option, UserIn<char> value, unsigned length) {
    SocketOptions& options = socket.options;
    if (option == SO_LINGER) return set_linger(options, value, length);
    const int number = TRY(read_option(value, length));
    switch (option) {
        case SO_SNDBUF:
        case SO_SNDBUFFORCE:
            if (option == SO_SNDBUFFORCE && !has_capability(kCapNetAdmin)) return Error(EPERM);
            options.send_buffer = buffer_size(number, kMinSendBuffer, option == SO_SNDBUF);
            options.send_buffer_locked = true;
            return {};
        case SO_RCVBUF:
        case SO_RCVBUFFORCE:
            if (option == SO_RCVBUFFORCE && !has_capability(kCapNetAdmin)) return Error(EPERM);
            options.receive_buffer = buffer_size(number, kMinReceiveBuffer, option == SO_RCVBUF);
            options.receive_buffer_locked = true;
            return {};
        case SO_RCVTIMEO:
        case kRcvTimeoNew:
            options.receive_timeout_ns = TRY(read_timeout(value, length));
            return {};
        case SO_SNDTIMEO:
        case kSndTimeoNew:
            options.send_timeout_ns = TRY(read_timeout(value, length));
            return {};
        case SO_RCVLOWAT:
            options.receive_low_water = number < 0 ? INT32_MAX : std::max(number, 1);
            return {};
        case SO_PRIORITY:
            if (static_cast<uint32_t>(number) > kMaxFreePriority && !may_administer()) {
                return Error(EPERM);
            }
            options.priority = static_cast<uint32_t>(number);
            return {};
        case SO_MARK:
            if (!may_administer()) return Error(EPERM);
            options.mark = static_cast<uint32_t>(number);
            return {};
        case SO_BUSY_POLL:
            if (number > options.busy_poll_us && !has_capability(kCapNetAdmin)) {
                return Error(EPERM);
            }
            if (number < 0) return Error(EINVAL);
            options.busy_poll_us = number;
            return {};
        case SO_INCOMING_CPU:
            options.incoming_cpu = number;
            return {};
        case kBufferLock:
            if (number & ~(kSendLocked | kReceiveLocked)) return Error(EINVAL);
            options.send_buffer_locked = number & kSendLocked;
            options.receive_buffer_locked = number & kReceiveLocked;
            return {};
        case kReserveMemory:
            // There are no memory control groups that it could be charged to.
            return Error(number < 0 ? EINVAL : EOPNOTSUPP);
        case SO_BSDCOMPAT:   // of no effect on Linux either
        case SO_CNX_ADVICE:  // routes are looked up again by themselves
            return {};
        case SO_PEEK_OFF:
            if (!socket.has_peek_offset()) return Error(EOPNOTSUPP);
            options.peek_offset = number;
            return {};
        case SO_MAX_PACING_RATE:
            options.max_pacing_rate =
                number == -1 ? UINT64_MAX : uint64_t{static_cast<uint32_t>(number)};
            if (length >= sizeof(uint64_t)) {
                options.max_pacing_rate = TRY(UserIn<uint64_t>(value.address()).read());
            }
            return {};
        case kTimestampOld:
        case kTimestampNsOld:
        case kTimestampNew:
        case kTimestampNsNew:
            options.timestamp = number != 0 ? option : 0;
            choose_stamping(options);
            return {};
        case kTimestampingOld:
        case kTimestampingNew:
            if (static_cast<uint32_t>(number) & ~kTimestampingMask) return Error(EINVAL);
            options.timestamping = static_cast<uint32_t>(number);
            options.set(kTimestampingOld, option == kTimestampingNew);
            choose_stamping(options);
            return {};
        default:
            return set_on_off(socket, option, number);
    }
}

Result<void> get_peer_groups(const Socket& socket, const OptionWriter& to) {
    RefPtr<GroupList> list = socket.peer_groups();
    if (socket.peer_credentials().pid == 0) return Error(ENODATA);
    const size_t size = list ? list->groups().size_bytes() : 0;
    if (to.room() < size) {
        TRY(to.put_length(size));
        return Error(ERANGE);
    }
    return to.put(list ? list->groups().data() : nullptr, size);
}

bool is_timestamp(const Socket& socket, int option) {
    return socket.options.timestamp == option;
}

// The value of the options that are an int.
Result<int> int_option(Socket& socket, int option) {
    const SocketOptions& options = socket.options;
    switch (option) {
        case SO_TYPE:
            return socket.type();
        case SO_PROTOCOL:
            return socket.kind().protocol;
        case SO_DOMAIN:
            return socket.family();
        case SO_ERROR:
            return socket.take_error();
        case SO_ACCEPTCONN:
            return int{socket.is_listening()};
        case SO_SNDBUF:
            return static_cast<int>(options.send_buffer);
        case SO_RCVBUF:
            return static_cast<int>(options.receive_buffer);
        case SO_RCVLOWAT:
            return options.receive_low_water;
        case SO_SNDLOWAT:
            return 1;
        case SO_PRIORITY:
            return static_cast<int>(options.priority);
        case SO_MARK:
            return static_cast<int>(options.mark);
        case SO_BUSY_POLL:
            return options.busy_poll_us;
        case SO_BPF_EXTENSIONS:
            return SKF_AD_MAX;
        case SO_INCOMING_CPU:
            return options.incoming_cpu;
        case SO_PEEK_OFF:
            if (!socket.has_peek_offset()) return Error(EOPNOTSUPP);
            return options.peek_offset;
        case kBufferLock:
            return (options.send_buffer_locked ? kSendLocked : 0) |
                   (options.receive_buffer_locked ? kReceiveLocked : 0);
        case SO_BSDCOMPAT:
        case SO_INCOMING_NAPI_ID:  // no socket is polled by its device's queue
        case kReserveMemory:
            return 0;
        case kTimestampOld:
        case kTimestampNsOld:
        case kTimestampNew:
        case kTimestampNsNew:
            return int{is_timestamp(socket, option)};
        default:
            if (!is_on_off(option)) return Error(ENOPROTOOPT);
            return int{options.is_on(option)};
    }
}

}  // namespace

Result<OptionWriter> OptionWriter::create(UserOut<char> value, UserInOut<unsigned> length) {
    const auto room = static_cast<int>(TRY(length.read()));
    if (room < 0) return Error(EINVAL);
    return OptionWriter(value, length, static_cast<size_t>(room));
}

Result<void> OptionWriter::put(const void* data, size_t size) const {
    size = std::min(size, room_);
    TRY(value_.write_array(static_cast<const char*>(data), size));
    return put_length(size);
}

Result<void> OptionWriter::put_length(size_t size) const {
    return length_.write(static_cast<unsigned>(size));
}

Result<int> read_option(UserIn<char> value, unsigned length) {
    return read_option_as<int>(value, length);
}

Result<void> set_socket_option(Socket& socket, int option, UserIn<char> value, unsigned length) {
    if (option == SO_BINDTODEVICE || option == net::kBindToInterfaceIndex) {
        TRY(net::set_bound_device(socket, option, value, length));
    } else if (net::is_reuseport_change(option)) {
        TRY(net::change_reuseport_program(socket, option, value, length));
    } else if (net::is_filter_change(option)) {
        TRY(net::change_filter(socket, option, value, length));
    } else {
        TRY(set_value(socket, option, value, length));
    }
    socket.option_changed(option);
    return {};
}

Result<void> get_socket_option(Socket& socket, int option, const OptionWriter& to) {
    const SocketOptions& options = socket.options;
    switch (option) {
        case SO_LINGER:
            return to.put_value(
                linger{int{options.linger}, static_cast<int>(options.linger_seconds)});
        case SO_RCVTIMEO:
        case kRcvTimeoNew:
            return to.put_value(show_timeout(options.receive_timeout_ns));
        case SO_SNDTIMEO:
        case kSndTimeoNew:
            return to.put_value(show_timeout(options.send_timeout_ns));
        case SO_BINDTODEVICE:
        case net::kBindToInterfaceIndex:
            return net::get_bound_device(socket, option, to);
        case SO_GET_FILTER:
            return net::get_filter(socket, to);
        case SO_PEERCRED:
            return to.put_value(socket.peer_credentials());
        case SO_PEERGROUPS:
            return get_peer_groups(socket, to);
        case SO_PEERNAME: {
            SocketAddress address;
            if (!socket.peer_address(address).ok()) return Error(ENOTCONN);
            if (address.length < to.room()) return Error(EINVAL);
            return to.put(address.bytes, to.room());
        }
        case SO_MAX_PACING_RATE: {
            if (to.room() >= sizeof(uint64_t)) return to.put_value(options.max_pacing_rate);
            auto rate = static_cast<uint32_t>(std::min<uint64_t>(options.max_pacing_rate, ~0u));
            return to.put_value(rate);
        }
        case kTimestampingOld:
        case kTimestampingNew:
            return to.put_value(Timestamping{options.timestamping, 0});
        case kNetworkCookie:
            if (to.room() != sizeof(kInitialNetwork)) return Error(EINVAL);
            return to.put_value(kInitialNetwork);
        case SO_COOKIE:
            if (to.room() < sizeof(uint64_t)) return Error(EINVAL);
            return to.put_value(socket.inode().number);
        default:
            return to.put_value(TRY(int_option(socket, option)));
    }
}

}  // namespace coracle
