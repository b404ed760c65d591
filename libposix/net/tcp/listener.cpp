// Segment arrival in LISTEN (RFC 9293, 3.10.7.2), and of half-open connections.
#include "libposix/net/tcp/listener.h"

#include <climits>

#include "kernel-min/memory/heap.h"
#include "libposix/net/tcp/stack.h"
#include "libposix/net/tcp/syn_cookies.h"

namespace coracle::net::tcp {

Listener::Listener(Stack& stack, const Endpoint& at, const ConnectionOptions& chosen,
                   uint32_t queue_limit)
    : local(at), options(chosen), backlog(queue_limit), stack_(stack) {
    (void)accept_queues_.allocate();
}

Listener::~Listener() {
    ASSERT(accept_count_ == 0 && half_open_.empty());
}

int Listener::match(const FlowKey& flow) const {
    if (options.ip.interface_index && options.ip.interface_index != flow.local.scope) return -1;
    int score = options.ip.interface_index ? 4 : 0;
    if (local.address == flow.local.address) return score + 2;
    if (!local.address.is_any()) return -1;
    if (flow.local.address.is_v4()) {
        if (local.address.is_v4()) return score + 1;
        return is_v6_only ? -1 : score;
    }
    return local.address.is_v4() ? -1 : score + 1;
}

// Precondition: some connection waits.
Listener::AcceptQueue& Listener::choose_accept_queue() {
    AcceptQueue& own = accept_queues_.current();
    const bool others_wait = own.count < accept_count_;
    if (own.count && (!others_wait || own_in_a_row_ < kMaxOwnInARow)) {
        own_in_a_row_ = others_wait ? own_in_a_row_ + 1 : 0;
        return own;
    }
    own_in_a_row_ = 0;
    AcceptQueue* longest = nullptr;
    accept_queues_.for_each([&](AcceptQueue& queue) {
        if (&queue != &own && (!longest || queue.count > longest->count)) longest = &queue;
    });
    return *longest;
}

RefPtr<Connection> Listener::accept() {
    if (accept_count_ == 0) return nullptr;
    AcceptQueue& queue = choose_accept_queue();
    Connection& connection = queue.connections.front();
    queue.connections.pop_front();
    queue.count--;
    accept_count_--;
    connection.listener = nullptr;
    return adopt_ref(&connection);
}

bool Listener::enqueue(Connection& connection) {
    connection.ref();
    AcceptQueue& queue = accept_queues_.current();
    queue.connections.push_back(connection);
    queue.count++;
    accept_count_++;
    if (observer) observer->on_tcp_event(kEventAccept);
    return true;
}

void Listener::close() {
    while (!half_open_.empty()) drop(half_open_.front());
    while (RefPtr<Connection> connection = accept()) connection->close(true);
}

void Listener::drop(HalfOpen& half_open) {
    if (half_open.in_table) stack_.remove_flow(half_open);
    half_open_.erase(half_open_.iterator_to(half_open));
    half_open_count_--;
    delete &half_open;
}

// What the SYN says, and what we answer.
void Listener::fill_half_open(HalfOpen& half_open, const Segment& segment) {
    const Options& peer = segment.options;
    half_open.key = segment.flow;
    half_open.hash = stack_.hash(segment.flow);
    half_open.listener = this;
    half_open.created_ns = stack_.now_ns();
    half_open.receive_initial = segment.sequence;
    half_open.timestamp_offset = stack_.timestamp_offset(segment.flow);
    half_open.peer_window = segment.window;
    if (peer.maximum_segment_size) half_open.peer_segment = peer.maximum_segment_size;
    half_open.timestamps_on = peer.has_timestamp && stack_.settings.timestamps;
    half_open.timestamp_recent = peer.timestamp;
    half_open.sack_on = peer.sack_permitted && stack_.settings.sack;
    half_open.scaling_on = peer.has_window_scale && stack_.settings.window_scaling;
    half_open.send_scale = peer.window_scale;
    half_open.ecn_on = stack_.settings.ecn && segment.has(kEce) && segment.has(kCwr);
}

void Listener::input_syn(Segment& segment, const Sequence* initial_sequence) {
    bool queue_full = half_open_count_ >= std::max(backlog, 1u);
    bool use_cookie = false;
    if (queue_full || half_open_count_ >= stack_.settings.max_syn_backlog) {
        if (!stack_.settings.syn_cookies) {
            stack_.counters().TCPReqQFullDrop++;
            stack_.counters().ListenDrops++;
            return;
        }
        stack_.counters().TCPReqQFullDoCookies++;
        use_cookie = true;
    }
    if (accept_queue_is_full()) {
        stack_.counters().ListenOverflows++;
        stack_.counters().ListenDrops++;
        return;
    }
    auto* half_open = new (std::nothrow) HalfOpen;
    if (!half_open) {
        stack_.counters().ListenDrops++;
        return;
    }
    fill_half_open(*half_open, segment);
    half_open_.push_back(*half_open);
    half_open_count_++;
    // The window and its scale are those of the connection to be.
    Connection model(stack_, segment.flow, options);
    model.refresh_path();
    model.init_receive_window();
    half_open->receive_window = model.receive_window;
    half_open->receive_scale = half_open->scaling_on ? model.receive_scale : 0;
    half_open->send_initial =
        initial_sequence ? *initial_sequence : stack_.initial_sequence(segment.flow);
    if (use_cookie) {
        auto clock = static_cast<uint32_t>(stack_.now_ns() / kMillisecond);
        half_open->send_initial = make_cookie(stack_.secret(), segment.flow, segment.sequence,
                                              half_open->peer_segment, stack_.now_ns());
        half_open->cookie_timestamp = cookie_timestamp(segment.options, half_open->ecn_on, clock);
        if (!half_open->timestamps_on) {
            half_open->scaling_on = half_open->sack_on = half_open->ecn_on = false;
        }
        stack_.counters().SyncookiesSent++;
        stack_.note_sent_cookie();
        send_syn_ack(*half_open);
        drop(*half_open);
        return;
    }
    FastOpenCookie to_tell;
    if (try_fast_open(*half_open, segment, to_tell)) return drop(*half_open);
    if (!stack_.insert_flow(*half_open)) {
        stack_.counters().ListenDrops++;
        drop(*half_open);
        return;
    }
    stack_.set_flow_timer(*half_open, stack_.now_ns() + kInitialTimeout);
    send_syn_ack(*half_open, to_tell);
}

// `cookie`: for the client's next connection; empty: none.
void Listener::send_syn_ack(const HalfOpen& half_open, const FastOpenCookie& cookie) {
    Options answer;
    PathCache cache;
    PathProperties path = stack_.environment.path(half_open.key, options.ip, cache);
    answer.maximum_segment_size = stack_.advertised_segment(half_open.key, path.mtu);
    if (options.maximum_segment && options.maximum_segment < answer.maximum_segment_size) {
        answer.maximum_segment_size = options.maximum_segment;
    }
    if (half_open.timestamps_on) {
        answer.has_timestamp = true;
        auto clock = static_cast<uint32_t>(stack_.now_ns() / kMillisecond);
        answer.timestamp = half_open.timestamp_offset +
                           (half_open.cookie_timestamp ? half_open.cookie_timestamp : clock);
        answer.timestamp_echo = half_open.timestamp_recent;
    }
    answer.sack_permitted = half_open.sack_on;
    answer.has_window_scale = half_open.scaling_on;
    answer.window_scale = half_open.receive_scale;
    if (cookie.size) cookie.write(answer);
    uint8_t flags = kSyn | kAck;
    if (half_open.ecn_on) flags |= kEce;
    stack_.send_plain(half_open.key,
                      {half_open.key.local.port, half_open.key.remote.port, half_open.send_initial,
                       half_open.receive_initial + 1, flags,
                       static_cast<uint16_t>(std::min(half_open.receive_window, 65535u))},
                      answer);
}

void Listener::half_open_timer(HalfOpen& half_open) {
    uint32_t limit = options.syn_count ? options.syn_count : stack_.settings.synack_retries;
    limit = std::max<uint32_t>(limit, options.defer_accept);
    if (half_open.retransmissions >= limit) {
        stack_.counters().TCPTimeouts++;
        stack_.counters().AttemptFails++;
        return drop(half_open);
    }
    half_open.retransmissions++;
    uint64_t delay = std::min(kInitialTimeout << half_open.retransmissions, kMaximumTimeout);
    stack_.set_flow_timer(half_open, stack_.now_ns() + delay);
    // A client that has acknowledged and owes its data is reminded only at the end of the time.
    if (half_open.is_acknowledged && half_open.retransmissions < options.defer_accept) return;
    stack_.counters().TCPTimeouts++;
    stack_.counters().RetransSegs++;
    stack_.counters().TCPSynRetrans++;
    send_syn_ack(half_open);
}

void Listener::input_half_open(HalfOpen& half_open, Segment& segment) {
    if (half_open.timestamps_on && segment.options.has_timestamp && !segment.has(kRst) &&
        static_cast<int32_t>(segment.options.timestamp - half_open.timestamp_recent) < 0) {
        stack_.counters().PAWSEstab++;
        return;
    }
    Sequence expected = half_open.receive_initial + 1;
    if (segment.has(kRst)) {
        // RFC 5961, 3.2: only the exact number.
        if (segment.sequence == expected) {
            stack_.counters().EmbryonicRsts++;
            stack_.counters().AttemptFails++;
            drop(half_open);
        }
        return;
    }
    if (segment.has(kSyn) && !segment.has(kAck)) {
        if (segment.sequence != half_open.receive_initial) return;
        uint64_t since = stack_.now_ns() - half_open.last_invalid_ack_ns;
        if (half_open.last_invalid_ack_ns &&
            since < stack_.settings.invalid_ack_interval_ms * kMillisecond) {
            stack_.counters().TCPACKSkippedSynRecv++;
            return;
        }
        half_open.last_invalid_ack_ns = stack_.now_ns();
        return send_syn_ack(half_open);
    }
    if (!segment.has(kAck)) return;
    if (segment.acknowledgement != half_open.send_initial + 1) {
        return stack_.answer_with_reset(segment);
    }
    if (segment.sequence < expected || segment.sequence > expected + half_open.receive_window) {
        return send_syn_ack(half_open);
    }
    if (options.defer_accept && half_open.retransmissions < options.defer_accept &&
        segment.length == 0 && !segment.has(kFin)) {
        half_open.is_acknowledged = true;
        stack_.counters().TCPDeferAcceptDrop++;
        return;
    }
    if (accept_queue_is_full()) {
        stack_.counters().ListenOverflows++;
        stack_.counters().ListenDrops++;
        half_open.is_acknowledged = true;
        if (stack_.settings.abort_on_overflow) {
            stack_.answer_with_reset(segment);
            drop(half_open);
        }
        return;
    }
    open_connection(half_open, segment, true);
}

// In SYN-RECEIVED; null when out of memory.
RefPtr<Connection> Listener::make_connection(const HalfOpen& half_open) {
    auto made = make_ref<Connection>(stack_, half_open.key, options);
    if (!made.ok()) {
        stack_.counters().ListenDrops++;
        return nullptr;
    }
    RefPtr<Connection> connection = made.release_value();
    Connection& c = *connection;
    c.listener = this;
    c.initial_send_sequence = c.send_unacknowledged = half_open.send_initial;
    c.send_next = c.write_sequence = half_open.send_initial + 1;
    c.send_urgent = c.last_small_segment = half_open.send_initial;
    c.refresh_path();
    c.init_receive_window();
    Segment syn;
    syn.sequence = half_open.receive_initial;
    syn.window = half_open.peer_window;
    syn.options.maximum_segment_size = half_open.peer_segment;
    syn.options.has_timestamp = half_open.timestamps_on;
    syn.options.timestamp = half_open.timestamp_recent;
    syn.options.sack_permitted = half_open.sack_on;
    syn.options.has_window_scale = half_open.scaling_on;
    syn.options.window_scale = half_open.send_scale;
    c.begin_passive_open(syn);
    c.ecn_on = half_open.ecn_on;
    c.retransmissions = half_open.retransmissions;
    c.total_retransmissions = half_open.retransmissions;
    c.last_ack_received_ns = half_open.created_ns;
    c.set_state(State::kSynReceived);
    return connection;
}

bool Listener::insert(const RefPtr<Connection>& connection) {
    if (!stack_.insert_flow(*connection)) {
        stack_.counters().ListenDrops++;
        return false;
    }
    connection->self = connection;
    stack_.counters().PassiveOpens++;
    return true;
}

void Listener::open_connection(HalfOpen& half_open, Segment& segment, bool in_table) {
    RefPtr<Connection> connection = make_connection(half_open);
    if (!connection) return;
    if (in_table) drop(half_open);
    if (insert(connection)) connection->input(segment);
}

bool Listener::input_cookie(Segment& segment) {
    if (!stack_.settings.syn_cookies || !segment.has(kAck) || segment.has(kRst | kSyn))
        return false;
    // Only if we have sent any lately; a queue that is not full has no cookies out.
    Sequence cookie = segment.acknowledgement - 1;
    Sequence peer = segment.sequence - 1;
    uint16_t size = check_cookie(stack_.secret(), segment.flow, peer, cookie, stack_.now_ns());
    if (!size || !stack_.has_sent_cookies()) {
        stack_.counters().SyncookiesFailed += stack_.has_sent_cookies();
        return false;
    }
    if (accept_queue_is_full()) {
        stack_.counters().ListenOverflows++;
        stack_.counters().ListenDrops++;
        return true;
    }
    CookieOptions agreed{};
    if (segment.options.has_timestamp) {
        read_cookie_timestamp(
            segment.options.timestamp_echo - stack_.timestamp_offset(segment.flow), agreed);
    }
    HalfOpen half_open;
    half_open.key = segment.flow;
    half_open.listener = this;
    half_open.created_ns = stack_.now_ns();
    half_open.send_initial = cookie;
    half_open.receive_initial = peer;
    half_open.peer_segment = size;
    half_open.peer_window = segment.window;
    half_open.timestamps_on = segment.options.has_timestamp && stack_.settings.timestamps;
    half_open.timestamp_recent = segment.options.timestamp;
    half_open.sack_on = agreed.sack_permitted;
    half_open.scaling_on = agreed.has_window_scale;
    half_open.send_scale = agreed.window_scale;
    half_open.ecn_on = agreed.ecn;
    stack_.counters().SyncookiesRecv++;
    open_connection(half_open, segment, false);
    return true;
}

}  // namespace coracle::net::tcp
