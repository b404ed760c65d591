// Segments out: what may be sent (RFC 9293, 3.8.6.2.1; RFC 1122, 4.2.3.4), and how it is built.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
constexpr uint8_t kEcnCapable = 2;  // ECT(0)
constexpr size_t kRoomBelow = 100;  // for IP and link headers
constexpr uint64_t kLeastPacedRtt = 2 * kMillisecond;
constexpr uint64_t kPacingGainNumerator = 3, kPacingGainDenominator = 2;
constexpr uint64_t kPacingCredit = 16;  // packets that may go at once after a pause
}  // namespace

uint32_t Connection::current_segment_size() const {
    uint32_t options_length = 0;
    if (sack_block_count || duplicate_sack_pending) {
        Options sack;
        fill_options(sack, true);
        options_length = 4 + 8u * sack.sack_count;
    }
    return segment_size - options_length;
}

size_t Connection::fill_options(Options& to, bool with_sack) const {
    size_t size = 0;
    if (timestamps_on) {
        to.has_timestamp = true;
        to.timestamp = timestamp_now();
        to.timestamp_echo = timestamp_recent;
        size = kTimestampOptionSize;
    }
    if (with_sack && (sack_block_count || duplicate_sack_pending)) {
        uint8_t most = timestamps_on ? 3 : 4;
        if (duplicate_sack_pending) to.sack[to.sack_count++] = duplicate_sack;
        for (uint8_t i = 0; i < sack_block_count && to.sack_count < most; i++) {
            to.sack[to.sack_count++] = sack_blocks[i];
        }
        size += 4 + 8u * to.sack_count;
    }
    return size;
}

bool Connection::may_send_small(const SendSegment& info, Push push) const {
    if (push == Push::kAll || (info.flags & kFin) || urgent_out) return true;
    if (push == Push::kHold || options.cork) return false;
    if (options.no_delay || packets_out == 0) return true;
    // Nagle as Minshall amended it: one small segment in flight at a time.
    return !(last_small_segment > send_unacknowledged && last_small_segment <= send_next);
}

// The rate of new data, in bytes a second. After slow start a window is spread over a part of its
// round trip, if that is long: acknowledgements that come in one burst, as they do to a machine
// that waits for its CPU, would send a burst that overflows the short queue of a bottleneck. The
// rate is above that of the acknowledgements, so that a pause is caught up with.
uint64_t Connection::pacing_rate() const {
    if (congestion.in_slow_start()) [[likely]]
        return options.max_pacing_rate;
    if (rtt.minimum_ns() < kLeastPacedRtt || !rtt.has_sample()) return options.max_pacing_rate;
    uint64_t window = uint64_t{std::max(congestion.window, packets_out)} * segment_size;
    uint64_t rate = window * (kSecond / 1000) / (rtt.smoothed_ns() / 1000) * kPacingGainNumerator /
                    kPacingGainDenominator;
    return std::min(rate, options.max_pacing_rate);
}

// After `size` bytes: when the next may follow.
void Connection::pace(uint64_t rate, uint32_t size) {
    rate = std::max<uint64_t>(rate, 1);
    uint64_t pause = size * kSecond / rate;
    uint64_t credit = 0;
    if (rate != options.max_pacing_rate) credit = kPacingCredit * segment_size * kSecond / rate;
    next_send_ns = std::max(next_send_ns, now() - std::min(credit, now())) + pause;
}

void Connection::push_pending(Push push) {
    if (!unsent) return;
    uint32_t mss = current_segment_size();
    uint64_t rate = pacing_rate();
    bool sent = false;
    while (unsent) {
        uint32_t in_flight = packets_in_flight();
        if (in_flight >= congestion.window) {
            window_limited = true;
            break;
        }
        if (next_send_ns > now()) [[unlikely]] {
            update_timer(pacing_deadline_ns, next_send_ns);
            break;
        }
        uint32_t quota = congestion.window - in_flight;
        auto limit = static_cast<uint32_t>(
            std::min<uint64_t>(uint64_t{quota} * mss, largest_burst(mss, rate)));
        if (!send_first_unsent(mss, limit, push)) break;
        sent = true;
        if (rate != UINT64_MAX) [[unlikely]]
            pace(rate, send_info(*last_sent).length);
    }
    if (sent) {
        highest_in_flight = std::max(highest_in_flight, packets_out);
        arm_after_send();
    } else if (!packets_out && unsent && retransmit_timer == RetransmitTimer::kNone &&
               pacing_deadline_ns == kNever) {
        arm_retransmit(RetransmitTimer::kWindowProbe, rtt.base_timeout_ns());
    }
}

// What may go down at once: as much as the layer below cuts; of a paced connection, what it sends
// in a millisecond.
uint32_t Connection::largest_burst(uint32_t mss, uint64_t rate) const {
    uint32_t most = std::max(largest_segment - largest_segment % mss, mss);
    if (rate == UINT64_MAX) [[likely]]
        return most;
    return static_cast<uint32_t>(std::clamp<uint64_t>(rate / 1000 / mss * mss, mss, most));
}

// Sends up to `limit` bytes of the first unsent segment. False: it has to wait.
bool Connection::send_first_unsent(uint32_t mss, uint32_t limit, Push push) {
    Buffer& segment = *unsent;
    SendSegment& info = send_info(segment);
    uint32_t usable = distance(info.sequence, send_unacknowledged + send_window);
    uint32_t fin = info.flags & kFin;
    uint32_t size = info.length;
    // Silly window avoidance: a full segment, or all there is.
    if (usable < std::min(size + fin, mss)) return false;
    limit = std::min(limit, usable);
    if (limit > mss) limit -= limit % mss;
    bool is_last = BufferQueue::after(&segment) == nullptr;
    uint32_t small_part = size % mss;
    if (size <= limit && small_part && is_last && !may_send_small(info, push)) {
        if (size < mss) return false;
        limit = size - small_part;
    }
    if (size > limit) {
        if (!split_segment(segment, limit)) return false;
        size = limit;
    } else if (size + fin > usable) {
        return false;
    }
    info.packets = static_cast<uint16_t>(size > mss ? (size + mss - 1) / mss : 1);
    if (!transmit(segment, false)) return false;
    unsent = BufferQueue::after(&segment);
    last_sent = &segment;
    send_next = info.end();
    packets_out += info.packets;
    if (phase >= CongestionPhase::kReduced) prr_out += info.packets;
    if (size % mss) last_small_segment = info.end();
    stack.counters().TCPOrigDataSent += info.packets;
    return true;
}

// The packet for a segment of the queue, with room for headers, which keeps the bytes by reference.
BufferPtr Connection::make_packet(Buffer& segment, size_t header_size) {
    if (!segment.next() && !segment.is_shared() && segment.headroom() >= header_size + kRoomBelow) {
        return segment.share_with_headroom();
    }
    BufferPtr packet = Buffer::allocate(kPacketHeadroom, kPacketHeadroom);
    if (!packet) return nullptr;
    Buffer* last = packet.get();
    for (Buffer* piece = &segment; piece; piece = piece->next()) {
        if (piece->length() == 0) continue;
        BufferPtr shared = piece->share(0, piece->length());
        if (!shared) return nullptr;
        Buffer* added = shared.get();
        last->set_next(std::move(shared));
        last = added;
    }
    return packet;
}

bool Connection::transmit(Buffer& segment, bool again) {
    SendSegment& info = send_info(segment);
    Options option_values;
    size_t header_size = kHeaderSize + fill_options(option_values, true);
    BufferPtr packet = make_packet(segment, header_size);
    if (!packet) {
        stack.counters().TCPRetransFail += again;
        return false;
    }
    uint8_t flags = kAck | info.flags;
    if (BufferQueue::after(&segment) == nullptr) flags |= kPsh;
    uint8_t ecn = 0;
    if (ecn_on) {
        if (ecn_echo) flags |= kEce;
        if (!again) {
            ecn = kEcnCapable;
            if (std::exchange(ecn_reduced, false)) {
                flags |= kCwr;
                packet->info.congestion_window_reduced = true;
            }
        }
    }
    HeaderFields fields{key.local.port, key.remote.port, info.sequence,
                        receive_next,   flags,           choose_window()};
    if (urgent_out && info.sequence < send_urgent) {
        fields.flags |= kUrg;
        fields.urgent_pointer =
            static_cast<uint16_t>(std::min(distance(info.sequence, send_urgent), 65535u));
    }
    write_header(packet->push(header_size), fields, option_values);
    uint32_t mss = segment_size + static_cast<uint32_t>(kTimestampOptionSize * timestamps_on) +
                   static_cast<uint32_t>(kHeaderSize - header_size);
    if (info.length > mss) {
        packet->info.segment_size = static_cast<uint16_t>(mss);
        packet->info.segmentation =
            key.local.address.is_v4() ? SegmentationType::kTcpV4 : SegmentationType::kTcpV6;
    }
    bool offload = checksum_offload || packet->info.segment_size;
    set_checksum(*packet, key, static_cast<uint32_t>(header_size) + info.length, offload);
    info.sent_ns = now();
    if (info.length) {
        last_data_sent_ns = now();
        // Data in answer to data: the next acknowledgement can go with data too.
        if (now() - last_data_received_ns < ack_timeout_ns) ping_pong = true;
        data_segments_out += info.packets;
        bytes_sent += info.length;
    }
    stack.counters().OutSegs += info.packets;
    segments_out += info.packets;
    after_transmit_of_ack();
    hand_down(std::move(packet), ecn);
    return true;
}

void Connection::hand_down(BufferPtr packet, uint8_t ecn) {
    IpChoices choices = options.ip;
    choices.traffic_class = static_cast<uint8_t>((choices.traffic_class & ~3) | ecn);
    stack.environment.output(std::move(packet), key, choices, &path_cache);
}

bool Connection::retransmit(Buffer& segment) {
    SendSegment& info = send_info(segment);
    uint32_t mss = current_segment_size();
    uint32_t most = std::max(largest_segment - largest_segment % mss, mss);
    // The peer may have taken back a part of its window.
    uint32_t usable = distance(info.sequence, send_unacknowledged + send_window);
    if (usable && usable < most) most = usable;
    if (usable == 0) most = mss;
    if (info.length > most && !split_segment(segment, most)) return false;
    uint32_t packets = info.length > mss ? (info.length + mss - 1) / mss : 1;
    if (packets != info.packets) set_packets(info, packets);
    if (!transmit(segment, true)) return false;
    if (!info.is_in_retransmission) {
        info.is_in_retransmission = true;
        retransmitted_out += info.packets;
    }
    info.was_retransmitted = true;
    if (!first_retransmission_stamp) first_retransmission_stamp = std::max(timestamp_now(), 1u);
    undo_retransmissions = std::max(undo_retransmissions, 0) + info.packets;
    total_retransmissions += info.packets;
    bytes_retransmitted += info.length;
    stack.counters().RetransSegs += info.packets;
    return true;
}

void Connection::send_control(uint8_t flags, Sequence sequence) {
    BufferPtr packet = Buffer::allocate(kPacketHeadroom, kPacketHeadroom);
    if (!packet) {
        // The delayed acknowledgement's timer tries again.
        update_timer(ack_deadline_ns, now() + kDelayedAckMaximum);
        return;
    }
    if (flags & kAck && ecn_on && ecn_echo) flags |= kEce;
    Options option_values;
    size_t header_size = kHeaderSize + fill_options(option_values, !(flags & kRst));
    HeaderFields fields{key.local.port, key.remote.port, sequence,
                        receive_next,   flags,           choose_window()};
    write_header(packet->push(header_size), fields, option_values);
    set_checksum(*packet, key, static_cast<uint32_t>(header_size), checksum_offload);
    stack.counters().OutSegs++;
    segments_out++;
    after_transmit_of_ack();
    hand_down(std::move(packet), 0);
}

void Connection::send_reset() {
    stack.counters().OutRsts++;
    send_control(kRst | kAck, send_next);
}

// SYN, or SYN+ACK where the peer's SYN is known. The first SYN may carry the first of the send
// queue.
void Connection::send_syn() {
    bool answer = state == State::kSynReceived;
    Options option_values;
    option_values.maximum_segment_size = stack.advertised_segment(*this);
    if (answer ? timestamps_on : stack.settings.timestamps) {
        option_values.has_timestamp = true;
        option_values.timestamp = timestamp_now();
        option_values.timestamp_echo = timestamp_recent;
    }
    option_values.sack_permitted = answer ? sack_on : stack.settings.sack;
    option_values.has_window_scale = answer ? scaling_on : stack.settings.window_scaling;
    option_values.window_scale = receive_scale;
    if (!answer) add_fast_open_option(option_values);
    uint8_t flags = kSyn;
    if (answer) {
        flags |= kAck;
        if (ecn_on) flags |= kEce;
    } else if (stack.settings.ecn == 1 && retransmissions == 0) {
        flags |= kEce | kCwr;
    }
    auto window = static_cast<uint16_t>(std::min(receive_window, 65535u));
    HeaderFields fields{key.local.port, key.remote.port, initial_send_sequence,
                        receive_next,   flags,           window};
    size_t header_size = kHeaderSize + options_size(option_values);
    uint32_t data = answer || retransmissions ? 0 : fast_open.syn_data;
    BufferPtr packet = data ? make_packet(*unsent, header_size)
                            : Buffer::allocate(kPacketHeadroom, kPacketHeadroom);
    if (!packet) return;  // as if it were lost
    write_header(packet->push(header_size), fields, option_values);
    set_checksum(*packet, key, static_cast<uint32_t>(header_size) + data, checksum_offload);
    data_segments_out += data != 0;
    bytes_sent += data;
    stack.counters().OutSegs++;
    segments_out++;
    hand_down(std::move(packet), 0);
}

void Connection::after_transmit_of_ack() {
    if (quick_acks) quick_acks--;
    ack_pending = ack_now = duplicate_sack_pending = false;
    ack_deadline_ns = kNever;
}

// The free part of the receive buffer as payload; half of the memory is for overhead
// (tcp_adv_win_scale 1).
uint32_t Connection::free_receive_space() const {
    return receive_limit > receive_memory ? (receive_limit - receive_memory) / 2 : 0;
}

// The window to tell: never taken back (RFC 9293, 3.8.6), and no silly one (3.8.6.2.2).
uint16_t Connection::choose_window() {
    uint32_t current = distance(receive_next, window_sent_at + receive_window);
    uint32_t free_space = std::min(free_receive_space(), window_clamp);
    uint32_t full_space = std::min(receive_limit / 2, window_clamp);
    uint32_t window = free_space;
    if (free_space < full_space / 2 &&
        (free_space < full_space / 16 || free_space < peer_segment_estimate)) {
        window = 0;
    }
    uint32_t unit = 1u << receive_scale;
    window &= ~(unit - 1);
    if (window < current) {
        if (window == 0) stack.counters().TCPWantZeroWindowAdv++;
        window = (current + unit - 1) & ~(unit - 1);
    }
    window = std::min(window, 65535u << receive_scale);
    if (window == 0 && receive_window != 0) stack.counters().TCPToZeroWindowAdv++;
    if (window != 0 && receive_window == 0) stack.counters().TCPFromZeroWindowAdv++;
    receive_window = window;
    window_sent_at = receive_next;
    return static_cast<uint16_t>(window >> receive_scale);
}

// After the application has read: acknowledge what waited, and tell of a window that has opened.
void Connection::consider_window_update(uint32_t size_read) {
    if (!is_synchronized() || size_read == 0) return;
    bool send = false;
    if (ack_pending) {
        uint32_t waiting = distance(window_sent_at, receive_next);
        send = waiting > peer_segment_estimate || (quick_acks && !receive_bytes && !ping_pong);
    }
    if (!send && !receive_shut) {
        uint32_t current = distance(receive_next, window_sent_at + receive_window);
        if (2 * current <= window_clamp) {
            uint32_t free_space = std::min(free_receive_space(), window_clamp);
            send = free_space >= 2 * current && free_space >= peer_segment_estimate;
        }
    }
    if (send) send_ack();
}

// RFC 5681, 4.1: after a pause of a timeout, the window decays and starts again.
void Connection::restart_after_idle() {
    if (!stack.settings.slow_start_after_idle || !last_data_sent_ns || !rtt.has_sample()) return;
    uint64_t idle = now() - last_data_sent_ns;
    uint64_t timeout = rtt.base_timeout_ns();
    if (idle <= timeout) return;
    congestion.slow_start_threshold =
        std::max(congestion.slow_start_threshold, congestion.window * 3 / 4);
    uint32_t restart = std::min(congestion.window, kInitialWindow);
    for (; idle > timeout && congestion.window > restart; idle -= timeout) congestion.window /= 2;
    congestion.window = std::max(congestion.window, restart);
    options.congestion->on_idle_end(congestion, now() - last_data_sent_ns);
}

}  // namespace coracle::net::tcp
