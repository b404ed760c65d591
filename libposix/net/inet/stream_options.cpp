// Options of the level IPPROTO_TCP (man 7 tcp; Linux's do_tcp_setsockopt).
#include <linux/tcp.h>
#include <netinet/in.h>

#include <algorithm>

#include "libposix/net/inet/stream_socket.h"
#include "libposix/net/inet/tcp_filter.h"
#include "libposix/net/inet/tcp_host.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

constexpr size_t kCongestionNameSize = 16;  // TCP_CA_NAME_MAX
constexpr int kMaxKeepIdle = 32767, kMaxKeepInterval = 32767, kMaxKeepCount = 127,
              kMaxSynCount = 127;
constexpr int kMaxWindow = 32767;

// How many SYN+ACKs are sent within so many seconds, and back (secs_to_retrans).
uint8_t seconds_to_retransmissions(int seconds) {
    uint8_t count = 0;
    if (seconds <= 0) return 0;
    count = 1;
    for (int timeout = 1, sum = 1; seconds > sum && count < 255; count++) {
        timeout = std::min(timeout * 2, 120);
        sum += timeout;
    }
    return count;
}
int retransmissions_to_seconds(uint8_t count) {
    int sum = count ? 1 : 0;
    for (int timeout = 1; count > 1; count--) {
        timeout = std::min(timeout * 2, 120);
        sum += timeout;
    }
    return sum;
}

Result<void> check_range(int value, int minimum, int maximum) {
    if (value < minimum || value > maximum) return Error(EINVAL);
    return {};
}

}  // namespace

Result<void> StreamSocket::set_option(int level, int option, UserIn<char> value, unsigned length) {
    if (level == IPPROTO_TCP) return set_tcp_option(option, value, length);
    TRY(inet_.set(*this, level, option, value, length));
    if (inet_.min_ttl || inet_.v6_min_hops) tcp_filters_exist = true;
    push_options();
    return {};
}

Result<void> StreamSocket::get_option(int level, int option, const OptionWriter& to) {
    if (level == IPPROTO_TCP) return get_tcp_option(option, to);
    return inet_.get(*this, level, option, to);
}

Result<void> StreamSocket::set_congestion(UserIn<char> value, unsigned length) {
    if (length < 1) return Error(EINVAL);
    char name[kCongestionNameSize] = {};
    size_t size = std::min<size_t>(length, kCongestionNameSize - 1);
    for (size_t i = 0; i < size; i++) {
        name[i] = TRY(UserIn<char>(value.address() + i).read());
        if (!name[i]) break;
    }
    const tcp::CongestionControl* control = tcp::find_congestion_control(name);
    if (!control) return Error(ENOENT);
    tcp_.congestion = control;
    push_options();
    return {};
}

Result<void> StreamSocket::set_tcp_option(int option, UserIn<char> value, unsigned length) {
    if (option == TCP_CONGESTION) return set_congestion(value, length);
    if (option == TCP_ULP) return Error(ENOENT);  // no module has the name
    int number = TRY(read_option(value, length));
    State now = state();
    switch (option) {
        case TCP_NODELAY:
            tcp_.no_delay = number != 0;
            break;
        case TCP_CORK:
            tcp_.cork = number != 0;
            break;
        case TCP_MAXSEG:
            if (number &&
                (number < static_cast<int>(tcp::kMinimumSegment) || number > kMaxWindow)) {
                return Error(EINVAL);
            }
            tcp_.maximum_segment = static_cast<uint16_t>(number);
            break;
        case TCP_KEEPIDLE:
            TRY(check_range(number, 1, kMaxKeepIdle));
            tcp_.keepalive_idle_s = static_cast<uint32_t>(number);
            break;
        case TCP_KEEPINTVL:
            TRY(check_range(number, 1, kMaxKeepInterval));
            tcp_.keepalive_interval_s = static_cast<uint32_t>(number);
            break;
        case TCP_KEEPCNT:
            TRY(check_range(number, 1, kMaxKeepCount));
            tcp_.keepalive_count = static_cast<uint8_t>(number);
            break;
        case TCP_SYNCNT:
            TRY(check_range(number, 1, kMaxSynCount));
            tcp_.syn_count = static_cast<uint8_t>(number);
            break;
        case TCP_LINGER2:
            tcp_.linger2_s = number < 0     ? int16_t{-1}
                             : number > 120 ? int16_t{0}
                                            : static_cast<int16_t>(number);
            break;
        case TCP_DEFER_ACCEPT:
            tcp_.defer_accept = seconds_to_retransmissions(number);
            break;
        case TCP_WINDOW_CLAMP:
            if (number == 0 && now != State::kClosed) return Error(EINVAL);
            tcp_.window_clamp = number ? static_cast<uint32_t>(std::max(
                                             number, static_cast<int>(kMinReceiveBuffer) / 2))
                                       : 0;
            if (connection_ && tcp_.window_clamp) connection_->window_clamp = tcp_.window_clamp;
            break;
        case TCP_QUICKACK:
            if (connection_) {
                TcpScope scope;
                connection_->quick_ack(number != 0);
            }
            return {};
        case TCP_USER_TIMEOUT:
            if (number < 0) return Error(EINVAL);
            tcp_.user_timeout_ms = static_cast<uint32_t>(number);
            break;
        case TCP_NOTSENT_LOWAT:
            tcp_.not_sent_low_water = static_cast<uint32_t>(number);
            break;
        case TCP_FASTOPEN:
        case TCP_FASTOPEN_CONNECT:
        case TCP_FASTOPEN_NO_COOKIE:
            TRY(set_fast_open_option(option, number));
            break;
        case TCP_SAVE_SYN:
            TRY(check_range(number, 0, 2));
            return number ? Result<void>(Error(ENOPROTOOPT)) : Result<void>();
        case TCP_INQ:
            TRY(check_range(number, 0, 1));
            tells_unread_ = number != 0;
            return {};
        case TCP_TIMESTAMP:
            return Error(EPERM);  // for TCP_REPAIR alone
        case TCP_THIN_LINEAR_TIMEOUTS:
            TRY(check_range(number, 0, 1));
            tcp_.thin_linear_timeouts = number != 0;
            break;
        case TCP_THIN_DUPACK:  // Linux knows it no more, but takes it
            return check_range(number, 0, 1);
        case TCP_REPAIR:
            if (!current_credentials().has_capability(kCapNetAdmin)) return Error(EPERM);
            return Error(EINVAL);
        default:
            return Error(ENOPROTOOPT);
    }
    push_options();
    return {};
}

Result<void> StreamSocket::get_tcp_option(int option, const OptionWriter& to) {
    const tcp::Settings& settings = tcp_stack().settings;
    auto or_default = [](uint32_t value, uint32_t fallback) {
        return static_cast<int>(value ? value : fallback);
    };
    switch (option) {
        case TCP_NODELAY:
            return to.put_value(int{tcp_.no_delay});
        case TCP_CORK:
            return to.put_value(int{tcp_.cork});
        case TCP_MAXSEG:
            if (connection_ && connection_->is_synchronized()) {
                return to.put_value(static_cast<int>(connection_->segment_size));
            }
            return to.put_value(tcp_.maximum_segment ? int{tcp_.maximum_segment}
                                                     : static_cast<int>(tcp::kDefaultSegment));
        case TCP_KEEPIDLE:
            return to.put_value(or_default(tcp_.keepalive_idle_s, settings.keepalive_time_s));
        case TCP_KEEPINTVL:
            return to.put_value(
                or_default(tcp_.keepalive_interval_s, settings.keepalive_interval_s));
        case TCP_KEEPCNT:
            return to.put_value(or_default(tcp_.keepalive_count, settings.keepalive_probes));
        case TCP_SYNCNT:
            return to.put_value(or_default(tcp_.syn_count, settings.syn_retries));
        case TCP_LINGER2:
            return to.put_value(tcp_.linger2_s ? int{tcp_.linger2_s}
                                               : static_cast<int>(settings.fin_timeout_s));
        case TCP_DEFER_ACCEPT:
            return to.put_value(retransmissions_to_seconds(tcp_.defer_accept));
        case TCP_WINDOW_CLAMP:
            return to.put_value(
                static_cast<int>(connection_ ? connection_->window_clamp : tcp_.window_clamp));
        case TCP_QUICKACK:
            return to.put_value(int{!connection_ || !connection_->ping_pong});
        case TCP_USER_TIMEOUT:
            return to.put_value(static_cast<int>(tcp_.user_timeout_ms));
        case TCP_NOTSENT_LOWAT:
            return to.put_value(static_cast<int>(tcp_.not_sent_low_water));
        case TCP_CONGESTION: {
            char name[kCongestionNameSize] = {};
            std::string_view text = tcp_.congestion->name();
            std::copy(text.begin(), text.end(), name);
            return to.put(name, std::min(to.room(), kCongestionNameSize));
        }
        case TCP_INFO: {
            tcp_info info{};
            if (connection_) {
                TcpScope scope;
                connection_->fill_info(info);
            } else {
                info.tcpi_state = static_cast<uint8_t>(state());
                if (listener_) {
                    info.tcpi_unacked = listener_->accept_queue_length();
                    info.tcpi_sacked = listener_->backlog;
                }
            }
            return to.put(&info, std::min(to.room(), sizeof(info)));
        }
        case TCP_ULP:
            return to.put_length(0);
        case TCP_FASTOPEN:
            return to.put_value(fast_open_limit_);
        case TCP_FASTOPEN_CONNECT:
            return to.put_value(int{fast_open_connect_});
        case TCP_FASTOPEN_NO_COOKIE:
            return to.put_value(int{tcp_.fast_open_without_cookie});
        case TCP_SAVE_SYN:
            return to.put_value(0);
        case TCP_INQ:
            return to.put_value(int{tells_unread_});
        case TCP_THIN_LINEAR_TIMEOUTS:
            return to.put_value(int{tcp_.thin_linear_timeouts});
        case TCP_THIN_DUPACK:
        case TCP_REPAIR:
            return to.put_value(0);
        case TCP_TIMESTAMP: {
            uint32_t clock = static_cast<uint32_t>(monotonic_ns() / tcp::kMillisecond);
            return to.put_value(clock + (connection_ ? connection_->timestamp_offset : 0));
        }
        default:
            return Error(ENOPROTOOPT);
    }
}

}  // namespace coracle::net
