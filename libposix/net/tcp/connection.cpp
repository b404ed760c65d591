// A connection's beginning and end, and what it knows of the path.
#include "libposix/net/tcp/connection.h"

#include "libposix/net/tcp/listener.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
constexpr uint32_t kSmallestPayload = 48;  // Linux's TCP_MIN_MSS less all options
}

Connection::Connection(Stack& owner, const FlowKey& flow, const ConnectionOptions& chosen)
    : Flow(FlowKind::kConnection), stack(owner), options(chosen) {
    key = flow;
    hash = stack.hash(flow);
    receive_limit =
        options.receive_buffer ? options.receive_buffer : stack.settings.receive_memory.initial;
    receive_limit_fixed = options.receive_buffer != 0;
    send_limit = options.send_buffer ? options.send_buffer : stack.settings.send_memory.initial;
    send_limit_fixed = options.send_buffer != 0;
    reordering = kDuplicateThreshold;
    timestamp_offset = stack.timestamp_offset(flow);
}

Connection::~Connection() {
    ASSERT(!in_table && !ListHook::is_linked());
}

void Connection::set_state(State to) {
    bool was_counted = state == State::kEstablished || state == State::kCloseWait;
    bool is_counted = to == State::kEstablished || to == State::kCloseWait;
    if (is_counted && !was_counted) stack.counters().CurrEstab++;
    if (!is_counted && was_counted) stack.counters().CurrEstab--;
    state = to;
}

// What the environment says of the path now.
void Connection::refresh_path() {
    PathProperties path = stack.environment.path(key, options.ip, path_cache);
    path_mtu = path.mtu;
    largest_segment = path.largest_segment;
    checksum_offload = path.checksum_offload;
    path_is_loopback = path.is_loopback;
    update_segment_size();
}

// RFC 9293, 3.7.1: what the peer accepts and the path carries, less the options of every segment.
void Connection::update_segment_size() {
    uint32_t headers = kHeaderSize + (key.local.address.is_v4() ? 20 : 40);
    uint32_t size = std::min(path_mtu - headers, peer_segment);
    if (options.maximum_segment) size = std::min<uint32_t>(size, options.maximum_segment);
    // Not more than half of the largest window, lest a segment never fits.
    if (largest_window > kDefaultSegment) {
        size = std::min(size, largest_window / 2);
    } else if (largest_window > 2 * kMinimumSegment) {
        size = std::min(size, largest_window);
    }
    if (timestamps_on) size -= kTimestampOptionSize;
    segment_size = std::max(size, kSmallestPayload);
}

void Connection::init_receive_window() {
    uint32_t mss = stack.advertised_segment(*this);
    uint32_t space = receive_limit / 2;
    if (options.window_clamp) space = std::min(space, options.window_clamp);
    uint32_t window = std::min(space, 65535u);
    if (window > mss) window -= window % mss;
    receive_window = window;
    window_clamp = std::max(space, window);
    window_sent_at = receive_next;
    peer_segment_estimate = std::min(kDefaultSegment, std::max(mss, 1u));
    // Large enough for what autotuning may reach.
    uint32_t largest = receive_limit_fixed ? receive_limit : stack.settings.receive_memory.maximum;
    receive_scale = 0;
    while (stack.settings.window_scaling && receive_scale < kMaxWindowScale &&
           (65535ull << receive_scale) < largest) {
        receive_scale++;
    }
}

void Connection::begin_active_open(const Sequence* initial_sequence, FastOpen mode) {
    initial_send_sequence = initial_sequence ? *initial_sequence : stack.initial_sequence(key);
    send_unacknowledged = initial_send_sequence;
    send_next = write_sequence = initial_send_sequence + 1;
    send_urgent = last_small_segment = initial_send_sequence;
    refresh_path();
    init_receive_window();
    set_state(State::kSynSent);
    fast_open.mode = mode;
    fast_open.waits_for_data = can_fast_open();
    if (!fast_open.waits_for_data) open_actively();
}

void Connection::open_actively() {
    stack.counters().ActiveOpens++;
    last_ack_received_ns = now();
    send_syn();
    arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
}

// The handshake is done: buffers grow to what a connection needs, and the first round begins.
void Connection::established() {
    set_state(State::kEstablished);
    refresh_path();
    congestion.window = kInitialWindow;
    // RFC 6298, 5.7: a SYN that was lost makes one segment the first window.
    if (retransmissions > 1) congestion.window = 1;
    if (retransmissions && !rtt.has_sample()) rtt.reset_backoff();
    retransmissions = 0;
    retransmission_start_ns = 0;
    grow_send_buffer();
    quick_acks = kMaxQuickAcks;
    round_end = send_next;
    recovery_end = dsack_round = send_next;
    highest_sack = send_unacknowledged;
    tuning_copied = copied_sequence();
    tuning_round_ns = rate_round_ns = now();
    last_data_received_ns = last_ack_received_ns = now();
    rearm_after_ack();
    if (options.keep_alive) keepalive_changed();
}

void Connection::leave_table() {
    if (!in_table) return;
    set_state(State::kClosed);
    stack.remove_flow(*this);
    stop_retransmit();
    leave_fast_open_queue();
    fast_open.waits_for_data = false;
    ack_deadline_ns = keepalive_deadline_ns = kNever;
    purge_send_queue();
    out_of_order.clear();
    self = nullptr;  // the caller has one of its own
}

void Connection::fail(int error) {
    if (state == State::kClosed) return;
    if (state == State::kSynSent || state == State::kSynReceived)
        stack.counters().AttemptFails++;
    else if (state == State::kEstablished || state == State::kCloseWait) {
        stack.counters().EstabResets++;
    }
    error_code = error;
    send_shut = receive_shut = true;
    leave_table();
    notify(kEventError | kEventHangUp | kEventReadable | kEventWritable | kEventConnected);
}

void Connection::enter_time_wait() {
    stack.start_time_wait(*this);  // in which it leaves the table
    send_shut = receive_shut = true;
    notify(kEventHangUp | kEventReadable | kEventWritable);
}

void Connection::abort(int error) {
    if (!in_table) return;
    bool tell = is_synchronized() || state == State::kSynReceived;
    if (tell) send_reset();
    fail(error);
}

void Connection::close(bool reset) {
    observer = nullptr;
    is_orphan = true;
    bool unread = receive_bytes > 0;
    while (take_received()) continue;
    if (!in_table) return;
    if (state == State::kSynSent) return fail(0);
    if (unread) stack.counters().TCPAbortOnClose++;
    if (reset) stack.counters().TCPAbortOnLinger++;
    if (unread || reset) return abort(0);
    receive_shut = true;
    keepalive_deadline_ns = kNever;
    shutdown_send();
    if (in_table && state == State::kFinWait2) {
        int32_t seconds = options.linger2_s ? options.linger2_s
                                            : static_cast<int32_t>(stack.settings.fin_timeout_s);
        if (seconds < 0) return abort(0);
        update_timer(keepalive_deadline_ns, now() + static_cast<uint64_t>(seconds) * kSecond);
    }
}

void Connection::options_changed() {
    if (options.max_pacing_rate == UINT64_MAX) next_send_ns = 0;
    keepalive_changed();
    if (unsent && is_synchronized()) {
        push_pending(options.no_delay && !options.cork ? Push::kAll : Push::kByNagle);
    }
}

void Connection::set_send_buffer(uint32_t bytes) {
    send_limit = bytes;
    send_limit_fixed = true;
}

void Connection::set_receive_buffer(uint32_t bytes) {
    receive_limit = bytes;
    receive_limit_fixed = true;
    window_clamp = bytes / 2;
}

// RFC 1191 and RFC 8201: smaller packets from now on, and those that were too big again.
void Connection::path_changed(uint32_t mtu) {
    if (!is_synchronized() || mtu >= path_mtu) return;
    refresh_path();
    path_mtu = std::min(path_mtu, std::max(mtu, 552u));
    update_segment_size();
    for (Buffer* segment = send_queue.first(); segment && segment != unsent;
         segment = BufferQueue::after(segment)) {
        SendSegment& info = send_info(*segment);
        if (!info.is_sacked && info.length > segment_size * info.packets) mark_lost(info);
    }
    if (lost_out) {
        lost_hint = nullptr;
        retransmit_lost();
    }
    push_pending();
}

void Connection::soft_error_arrived(int error, bool is_fatal) {
    if (state == State::kSynSent && is_fatal) return fail(error);
    soft_error = error;
}

}  // namespace coracle::net::tcp
