#include "libposix/net/tcp/time_wait.h"

#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

TimeWait::TimeWait(const Connection& connection)
    : Flow(FlowKind::kTimeWait),
      sharing(connection.options.sharing),
      send_next(connection.send_next),
      receive_next(connection.receive_next),
      receive_window(connection.receive_window),
      timestamp_recent(connection.timestamp_recent),
      timestamp_offset(connection.timestamp_offset),
      timestamp_recent_ns(connection.timestamp_recent_ns),
      receive_scale(connection.receive_scale),
      timestamps_on(connection.timestamps_on),
      is_loopback(connection.path_is_loopback) {
    key = connection.key;
    hash = connection.hash;
}

bool TimeWait::may_be_reused(const Stack& stack) const {
    uint8_t mode = stack.settings.time_wait_reuse;
    if (mode == 0 || (mode == 2 && !is_loopback)) return false;
    return timestamps_on && stack.now_ns() - timestamp_recent_ns > kSecond;
}

bool TimeWait::input(Stack& stack, const Segment& segment, Sequence& initial_sequence) {
    bool stale = timestamps_on && segment.options.has_timestamp && !segment.has(kRst) &&
                 static_cast<int32_t>(segment.options.timestamp - timestamp_recent) < 0;
    if (segment.has(kRst)) {
        // RFC 1337 would ignore it; Linux does so only if tcp_rfc1337 is set.
        if (segment.sequence == receive_next) {
            stack.counters().TWKilled++;
            stack.remove_time_wait(*this);
        }
        return false;
    }
    if (segment.has(kSyn) && !segment.has(kAck) && !stale &&
        (segment.sequence > receive_next ||
         (timestamps_on && segment.options.has_timestamp &&
          static_cast<int32_t>(segment.options.timestamp - timestamp_recent) > 0))) {
        initial_sequence = next_initial_sequence();
        return true;
    }
    if (stale) stack.counters().PAWSEstab++;
    bool empty_in_place =
        !stale && segment.sequence == receive_next && segment.sequence_length() == 0;
    if (!stale && timestamps_on && segment.options.has_timestamp &&
        segment.sequence == receive_next) {
        timestamp_recent = segment.options.timestamp;
        timestamp_recent_ns = stack.now_ns();
    }
    if (segment.has(kAck) && !stale) stack.set_flow_timer(*this, stack.now_ns() + kTimeWaitTime);
    if (empty_in_place) return false;
    // A FIN again, or what is out of place: the last acknowledgement once more.
    if (last_ack_ns &&
        stack.now_ns() - last_ack_ns < stack.settings.invalid_ack_interval_ms * kMillisecond) {
        stack.counters().TCPACKSkippedTimeWait++;
        return false;
    }
    last_ack_ns = stack.now_ns();
    Options options;
    if (timestamps_on) {
        options.has_timestamp = true;
        options.timestamp = static_cast<uint32_t>(stack.now_ns() / kMillisecond) + timestamp_offset;
        options.timestamp_echo = timestamp_recent;
    }
    stack.send_plain(key,
                     {key.local.port, key.remote.port, send_next, receive_next, kAck,
                      static_cast<uint16_t>(receive_window >> receive_scale)},
                     options);
    return false;
}

}  // namespace coracle::net::tcp
