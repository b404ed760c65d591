// The acknowledgement of a segment (RFC 9293, 3.10.7.4, fifth step; RFC 5961, 5): the window, what
// leaves the send queue, round-trip times.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

bool Connection::handle_ack(const Segment& segment) {
    Sequence ack = segment.acknowledgement;
    Sequence prior = send_unacknowledged;
    if (ack > send_next) return false;
    if (ack < prior - std::max(largest_window, 1u)) {
        send_challenge_ack();
        return false;
    }
    AckOutcome outcome;
    outcome.advanced = ack > prior;
    outcome.prior_highest_sack = highest_sack;
    uint32_t prior_in_flight = packets_in_flight();
    uint32_t prior_delivered = delivered;
    bool window_changed = update_send_window(segment);
    probes_out = 0;
    keepalive_probes_out = 0;
    last_ack_received_ns = now();
    soft_error = 0;
    rack_advanced = false;
    if (outcome.advanced) {
        bytes_acknowledged += static_cast<uint32_t>(ack - prior);
        send_unacknowledged = ack;
        retransmissions = 0;
        retransmission_start_ns = 0;
        if (urgent_out && ack >= send_urgent) urgent_out = false;
        if (first_retransmission_stamp && segment.options.has_timestamp &&
            segment.options.timestamp_echo) {
            outcome.timestamp_says_spurious = static_cast<int32_t>(segment.options.timestamp_echo -
                                                                   first_retransmission_stamp) < 0;
        }
        if (ack > round_end) {
            round_end = send_next;
            outcome.round_started = true;
        }
    }
    if (!packets_out) {
        if (window_changed && unsent) rearm_after_ack();
        return true;
    }
    if (segment.options.sack_count && sack_on) apply_sack(segment, prior, outcome);
    if (outcome.advanced) remove_acknowledged(ack, outcome);
    if (outcome.advanced || outcome.newly_sacked) take_rtt_sample(segment, outcome);
    if (ecn_on && segment.has(kEce)) {
        delivered_ce += delivered - prior_delivered;
        stack.counters().TCPDeliveredCE += delivered - prior_delivered;
        if (phase < CongestionPhase::kReduced) enter_reduction(CongestionPhase::kReduced);
    }
    if (probe_outstanding) check_loss_probe(ack, outcome);
    if (!sack_on && !outcome.advanced && segment.length == 0 && !window_changed &&
        !segment.has(kFin)) {
        duplicate_acks++;
    } else if (outcome.advanced) {
        duplicate_acks = 0;
    }
    update_recovery(segment, outcome, prior_in_flight);
    stack.counters().TCPDelivered += delivered - prior_delivered;
    if (outcome.advanced) {
        if (retransmit_timer != RetransmitTimer::kReordering) rearm_after_ack();
        if (outcome.round_started) {
            uint64_t elapsed = std::max<uint64_t>(now() - rate_round_ns, 1000);
            uint64_t packets = delivered - rate_round_delivered;
            delivery_rate_bytes = packets * segment_size * 1'000'000 / (elapsed / 1000);
            rate_round_ns = now();
            rate_round_delivered = delivered;
            window_limited = false;
            highest_in_flight = packets_out;
        }
        grow_send_buffer();
        if (want_space_event && is_writable()) {
            want_space_event = false;
            notify(kEventWritable);
        }
    }
    return true;
}

// RFC 9293, 3.10.7.4: newer segments alone change SND.WND.
bool Connection::update_send_window(const Segment& segment) {
    uint32_t window = uint32_t{segment.window} << send_scale;
    bool is_newer =
        segment.acknowledgement > send_unacknowledged ||
        segment.sequence > window_update_sequence ||
        (segment.sequence == window_update_sequence && (window > send_window || window == 0));
    if (!is_newer) return false;
    window_update_sequence = segment.sequence;
    if (window == send_window) return false;
    send_window = window;
    if (window > largest_window) {
        largest_window = window;
        if (segment_size * 2 > largest_window || largest_window - segment_size < 4 * segment_size) {
            update_segment_size();
        }
    }
    return true;
}

// Pointers to a segment that is about to leave the queue.
void Connection::forget_buffer(Buffer* segment) {
    if (segment == last_sent) last_sent = nullptr;
    if (segment == sack_hint) sack_hint = nullptr;
    if (segment == lost_hint) lost_hint = nullptr;
}

// `packets` of an in-flight segment are acknowledged cumulatively.
void Connection::count_acknowledged(SendSegment& info, uint32_t packets, AckOutcome& outcome) {
    if (info.is_in_retransmission) retransmitted_out -= packets;
    if (info.is_sacked) {
        sacked_out -= packets;
    } else {
        delivered += packets;
        outcome.newly_acknowledged += packets;
        rack_update(info);
    }
    if (info.is_lost) lost_out -= packets;
    packets_out -= packets;
    if (info.was_retransmitted) {
        outcome.retransmitted_data_acked = true;
    } else if (!info.is_sacked) {
        // Arrived after what was sent later, if that was acknowledged selectively before.
        if (sack_on && info.end() < outcome.prior_highest_sack) note_reordering(info);
        if (!outcome.rtt_ns) outcome.rtt_ns = std::max<uint64_t>(now() - info.sent_ns, 1);
    }
}

void Connection::remove_acknowledged(Sequence ack, AckOutcome& outcome) {
    uint32_t memory = 0;
    while (Buffer* segment = send_queue.first()) {
        SendSegment& info = send_info(*segment);
        if (segment == unsent || info.sequence >= ack) break;
        if (info.end() > ack) {
            trim_acknowledged(*segment, ack, outcome);
            break;
        }
        count_acknowledged(info, info.packets, outcome);
        forget_buffer(segment);
        memory += segment->next() ? static_cast<uint32_t>(segment->chain_memory_size())
                                  : static_cast<uint32_t>(segment->memory_size());
        send_queue.pop_front();
    }
    send_memory -= memory;
    if (highest_sack < send_unacknowledged) highest_sack = send_unacknowledged;
}

// The first segment is acknowledged in part: the rest stays, its first bytes go.
void Connection::trim_acknowledged(Buffer& segment, Sequence ack, AckOutcome& outcome) {
    uint32_t size = distance(send_info(segment).sequence, ack);
    if (!split_segment(segment, size)) return;
    SendSegment& info = send_info(segment);
    count_acknowledged(info, info.packets, outcome);
    forget_buffer(&segment);
    send_memory -= static_cast<uint32_t>(segment.chain_memory_size());
    send_queue.pop_front();
}

// Karn's rule: not from what was sent twice, unless the timestamp tells which (RFC 7323, 4).
void Connection::take_rtt_sample(const Segment& segment, const AckOutcome& outcome) {
    uint64_t sample =
        outcome.retransmitted_data_acked && !outcome.newly_sacked ? 0 : outcome.rtt_ns;
    if (!sample && outcome.advanced && timestamps_on && segment.options.has_timestamp &&
        segment.options.timestamp_echo) {
        auto elapsed = static_cast<int32_t>(timestamp_now() - segment.options.timestamp_echo);
        if (elapsed >= 0) sample = static_cast<uint64_t>(std::max(elapsed, 1)) * kMillisecond;
    }
    if (sample) rtt.add_sample(sample, now());
}

// Autotuning: twice the congestion window, as Linux's tcp_sndbuf_expand().
void Connection::grow_send_buffer() {
    if (send_limit_fixed || buffers_are_short()) return;
    uint64_t packet = segment_size + 512u;
    uint64_t window = std::max(congestion.window, std::max(kInitialWindow, reordering + 1));
    uint64_t wanted = std::min<uint64_t>(2 * packet * window, stack.settings.send_memory.maximum);
    if (wanted > send_limit) send_limit = static_cast<uint32_t>(wanted);
}

}  // namespace coracle::net::tcp
