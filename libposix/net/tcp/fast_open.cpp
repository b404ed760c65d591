#include "libposix/net/tcp/fast_open.h"

#include <algorithm>

#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
constexpr uint8_t kOurCookieSize = 8;
constexpr uint64_t kResetPenalty = 60 * kSecond;
}  // namespace

void FastOpenCookie::write(Options& to) const {
    to.fast_open_size = static_cast<uint8_t>(kFastOpenBase + size);
    memcpy(to.fast_open_cookie, bytes, size);
}

FastOpenCookie FastOpenCookie::read(const Options& from) {
    FastOpenCookie cookie;
    if (from.fast_open_size <= kFastOpenBase) return cookie;
    cookie.size = static_cast<uint8_t>(from.fast_open_size - kFastOpenBase);
    memcpy(cookie.bytes, from.fast_open_cookie, cookie.size);
    return cookie;
}

FastOpenCookie FastOpenCookie::make(const HashSecret& secret, const FlowKey& flow) {
    FastOpenCookie cookie;
    uint64_t hash = secret_hash(secret, {flow.local.address.high(), flow.local.address.low(),
                                         flow.remote.address.high(), flow.remote.address.low()});
    cookie.size = kOurCookieSize;
    memcpy(cookie.bytes, &hash, kOurCookieSize);
    return cookie;
}

size_t CookieCache::place_of(const FlowKey& flow) {
    const IpAddress& local = flow.local.address;
    const IpAddress& remote = flow.remote.address;
    return mix_words(remote.high() ^ local.low(), remote.low() ^ local.high()) % kPlaces;
}

const CookieCache::Entry* CookieCache::find(const FlowKey& flow) const {
    const Entry& entry = places_[place_of(flow)];
    bool is_it = entry.remote == flow.remote.address && entry.local == flow.local.address;
    return is_it ? &entry : nullptr;
}

void CookieCache::store(const FlowKey& flow, const FastOpenCookie& cookie, uint16_t peer_segment) {
    places_[place_of(flow)] = {flow.local.address, flow.remote.address, cookie, peer_segment};
}

void FastOpenQueue::leave(bool was_reset, uint64_t now_ns) {
    length--;
    if (!was_reset) return;
    if (now_ns >= resets_until_ns) {
        resets = 0;
        resets_until_ns = now_ns + kResetPenalty;
    }
    resets++;
}

// --- The client ---

// Whether the SYN may take data along; then it waits for that.
bool Connection::can_fast_open() {
    if (fast_open.mode != FastOpen::kWithCookie) return fast_open.mode != FastOpen::kNo;
    const auto* known = stack.fast_open_cookies().find(key);
    if (known && known->cookie.size) return true;
    fast_open.failure = FastOpenFailure::kNoCookie;
    return false;
}

uint32_t Connection::syn_data_space() const {
    const auto* known = stack.fast_open_cookies().find(key);
    uint32_t size = stack.advertised_segment(*this);
    if (known && known->peer_segment) size = std::min<uint32_t>(size, known->peer_segment);
    return size > kMaxOptionsSize ? size - kMaxOptionsSize : 0;
}

void Connection::send_with_syn(BufferPtr data) {
    if (!std::exchange(fast_open.waits_for_data, false)) return;
    if (data) {
        auto length = static_cast<uint32_t>(data->chain_length());
        uint32_t space = syn_data_space();
        append_unsent(std::move(data), length);
        SendSegment& first = send_info(*unsent);
        bool fits = first.length <= space || (space && split_segment(*unsent, space));
        if (fits) fast_open.syn_data = static_cast<uint16_t>(first.length);
        last_data_sent_ns = now();
    }
    open_actively();
}

// The option of the first SYN.
void Connection::add_fast_open_option(Options& to) const {
    if (fast_open.mode != FastOpen::kWithCookie || retransmissions) return;
    const auto* known = stack.fast_open_cookies().find(key);
    (known ? known->cookie : FastOpenCookie()).write(to);
}

// RFC 7413, 4.2.2: what the SYN+ACK says of the cookie, and of the data. Data that it does not
// acknowledge is in the send queue as if it had never been sent.
void Connection::finish_fast_open(const Segment& syn_ack) {
    fast_open.waits_for_data = false;
    uint32_t sent = std::exchange(fast_open.syn_data, uint16_t{0});
    if (!syn_ack.has(kAck)) return;
    if (fast_open.mode == FastOpen::kWithCookie && syn_ack.options.fast_open_size > kFastOpenBase) {
        stack.fast_open_cookies().store(key, FastOpenCookie::read(syn_ack.options),
                                        syn_ack.options.maximum_segment_size);
    }
    if (!sent) return;
    uint32_t taken = distance(initial_send_sequence + 1, syn_ack.acknowledgement);
    if (taken < sent) {
        stack.counters().TCPFastOpenActiveFail++;
        fast_open.failure = total_retransmissions ? FastOpenFailure::kSynWasLost
                                                  : FastOpenFailure::kDataNotAcknowledged;
        total_retransmissions++;
        bytes_retransmitted += sent - taken;
        stack.counters().RetransSegs++;
    } else {
        stack.counters().TCPFastOpenActive++;
        stack.counters().TCPOrigDataSent++;
        fast_open.data_acknowledged = true;
    }
    if (!taken) return;
    if (taken < sent && !split_segment(*unsent, taken)) return fail(ENOBUFS);
    unsent = BufferQueue::after(unsent);
    BufferPtr acknowledged = send_queue.pop_front();
    send_memory -= static_cast<uint32_t>(acknowledged->chain_memory_size());
    send_next = syn_ack.acknowledgement;
    bytes_acknowledged += taken;
    delivered++;
    stack.counters().TCPDelivered++;
}

// --- The server ---

// The SYN+ACK is acknowledged, or the connection has ended.
void Connection::leave_fast_open_queue() {
    if (RefPtr<FastOpenQueue> queue = std::move(fast_open.queue)) {
        queue->leave(reset_received, now());
    }
}

// A client that has not seen the SYN+ACK sends its SYN again.
bool Connection::input_repeated_syn(const Segment& segment) {
    bool is_repeated = fast_open.queue && segment.has(kSyn) && !segment.has(kAck | kRst) &&
                       segment.sequence == initial_receive_sequence;
    if (is_repeated &&
        now() - last_invalid_ack_ns >= stack.settings.invalid_ack_interval_ms * kMillisecond) {
        last_invalid_ack_ns = now();
        send_syn();
    }
    return is_repeated;
}

void Listener::set_fast_open_limit(uint32_t limit) {
    if (fast_open_) {
        fast_open_->limit = limit;
    } else if (limit) {
        auto made = make_ref<FastOpenQueue>();
        if (!made.ok()) return;  // without it, it is an ordinary listener
        fast_open_ = made.release_value();
        fast_open_->limit = limit;
    }
}

// RFC 7413, 4.2.1. True: the connection is there, and can be accepted; `half_open` is what it was
// made of. False: the handshake goes on as always, with an answer that tells `cookie`.
bool Listener::try_fast_open(const HalfOpen& half_open, Segment& syn, FastOpenCookie& cookie) {
    Counters& counted = stack_.counters();
    const uint8_t size = syn.options.fast_open_size;
    if (size == kFastOpenBase) counted.TCPFastOpenCookieReqd++;
    if (!(size || syn.length) || !fast_open_ || !fast_open_->limit ||
        !(stack_.settings.fast_open & kFastOpenServer)) {
        return false;
    }
    if (fast_open_->is_full(stack_.now_ns())) {
        counted.TCPFastOpenListenOverflow++;
        return false;
    }
    bool needs_cookie = !(stack_.settings.fast_open & kFastOpenAcceptWithoutCookie) &&
                        !options.fast_open_without_cookie;
    if (needs_cookie) {
        if (size == 0) return false;
        cookie = FastOpenCookie::make(stack_.secret(), syn.flow);
        if (size == kFastOpenBase) return false;
        if (FastOpenCookie::read(syn.options) != cookie) {
            counted.TCPFastOpenPassiveFail++;
            return false;
        }
    }
    if (!open_fast(half_open, syn)) {
        counted.TCPFastOpenPassiveFail++;
        return false;
    }
    counted.TCPFastOpenPassive++;
    return true;
}

// The data of the SYN is taken, and acknowledged with it.
bool Listener::open_fast(const HalfOpen& half_open, Segment& syn) {
    RefPtr<Connection> connection = make_connection(half_open);
    if (!connection || !insert(connection)) return false;
    Connection& c = *connection;
    c.fast_open.queue = fast_open_;
    fast_open_->length++;
    if (syn.length) {
        syn.sequence += 1;
        syn.flags &= static_cast<uint8_t>(~kSyn);
        c.handle_data(syn);
        c.fast_open.data_acknowledged = true;
    }
    c.window_sent_at = c.receive_next;
    c.ack_pending = c.ack_now = false;  // the SYN+ACK is one
    c.send_syn();
    c.arm_retransmit(Connection::RetransmitTimer::kTimeout, kInitialTimeout);
    enqueue(c);
    return true;
}

}  // namespace coracle::net::tcp
