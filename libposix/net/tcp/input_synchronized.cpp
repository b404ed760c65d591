// Segment arrival in all other states (RFC 9293, 3.10.7.4), in its steps; and before them the fast
// path for what is expected.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

void Connection::input(Segment& segment) {
    segments_in += segment.packets;
    if (state == State::kEstablished) [[likely]] {
        if (!try_fast_path(segment)) input_synchronized(segment);
    } else if (state == State::kSynSent) {
        input_syn_sent(segment);
    } else if (!input_repeated_syn(segment)) {
        input_synchronized(segment);
    }
}

// Header prediction: the next data in order or a plain acknowledgement, and nothing else to do.
bool Connection::try_fast_path(Segment& segment) {
    if ((segment.flags & ~kPsh) != kAck || segment.sequence != receive_next ||
        segment.acknowledgement > send_next || segment.acknowledgement < send_unacknowledged ||
        segment.options.sack_count || phase != CongestionPhase::kOpen || lost_out ||
        probe_outstanding || retransmitted_out || ecn_on || urgent_out ||
        urgent_state != UrgentState::kNone || out_of_order.first() || receive_shut ||
        segment.options.has_timestamp != timestamps_on) {
        return false;
    }
    if (timestamps_on) {
        if (static_cast<int32_t>(segment.options.timestamp - timestamp_recent) < 0) return false;
        if (segment.sequence <= window_sent_at) {
            timestamp_recent = segment.options.timestamp;
            timestamp_recent_ns = now();
        }
    }
    uint32_t window = distance(receive_next, window_sent_at + receive_window);
    if (segment.length > window) return false;
    // A repeated acknowledgement may be a duplicate: the whole treatment.
    if (segment.length == 0 && segment.acknowledgement == send_unacknowledged) return false;
    if (segment.length && receive_memory + segment.data->chain_held_memory() > receive_limit) {
        return false;
    }
    if (segment.acknowledgement != send_unacknowledged ||
        uint32_t{segment.window} << send_scale != send_window) {
        if (!handle_ack(segment)) return true;
        segment.length ? stack.counters().TCPHPAcks++ : stack.counters().TCPPureAcks++;
    } else {
        last_ack_received_ns = now();
    }
    if (segment.length) {
        stack.counters().TCPHPHits++;
        note_data_received(segment);
        ack_pending = true;
        queue_in_order(std::move(segment.data), segment.length);
        if (unsent) push_pending();
        schedule_ack();
        notify(kEventReadable);
    } else if (unsent) {
        push_pending();
    }
    return true;
}

void Connection::input_synchronized(Segment& segment) {
    // PAWS (RFC 7323, 5.3), then first: the sequence number.
    if (segment.options.has_timestamp && timestamps_on && !segment.has(kRst) &&
        static_cast<int32_t>(segment.options.timestamp - timestamp_recent) < 0 &&
        now() - timestamp_recent_ns < kPawsLifetime) {
        stack.counters().PAWSEstab++;
        return send_invalid_ack(stack.counters().TCPACKSkippedPAWS);
    }
    if (!sequence_is_acceptable(segment)) {
        if (segment.has(kRst)) return;
        if (segment.has(kSyn)) {
            stack.counters().TCPSYNChallenge++;
            return send_challenge_ack();
        }
        if (segment.length && segment.end() <= receive_next) {
            set_duplicate_sack(segment.sequence, segment.end());
            stack.counters().DelayedACKLost++;
            stack.counters().TCPDSACKOldSent++;
            // A retransmission that was not needed must be told at once.
            enter_quick_ack_mode();
            return send_ack();
        }
        return send_invalid_ack(state == State::kSynReceived ? stack.counters().TCPACKSkippedSynRecv
                                : state == State::kFinWait2 ? stack.counters().TCPACKSkippedFinWait2
                                                            : stack.counters().TCPACKSkippedSeq);
    }
    // Second: the RST bit.
    if (segment.has(kRst)) return handle_reset(segment);
    // Fourth: the SYN bit (RFC 5961, 4). The peer of a simultaneous open repeats its SYN+ACK.
    if (segment.has(kSyn)) {
        bool repeated = state == State::kSynReceived && segment.has(kAck) &&
                        segment.sequence == initial_receive_sequence;
        if (!repeated) {
            stack.counters().TCPSYNChallenge++;
            return send_challenge_ack();
        }
        segment.sequence += 1;
        segment.flags &= static_cast<uint8_t>(~kSyn);
    }
    // Fifth: the ACK bit.
    if (!segment.has(kAck)) return;
    if (timestamps_on && segment.options.has_timestamp && segment.sequence <= window_sent_at) {
        timestamp_recent = segment.options.timestamp;
        timestamp_recent_ns = now();
    }
    if (state == State::kSynReceived) {
        if (segment.acknowledgement <= send_unacknowledged || segment.acknowledgement > send_next) {
            return stack.answer_with_reset(segment);
        }
        send_window = uint32_t{segment.window} << send_scale;
        largest_window = send_window;
        window_update_sequence = segment.sequence;
        if (!retransmissions) {
            rtt.add_sample(std::max<uint64_t>(now() - last_ack_received_ns, 1), now());
        }
        send_unacknowledged = initial_send_sequence + 1;
        established();
        if (!stack.connection_established(*this)) return;
        notify(kEventConnected | kEventWritable);
        if (std::exchange(send_shut, false)) shutdown_send();
        if (!in_table) return;
    }
    if (!handle_ack(segment)) return;
    if (!handle_acknowledged_state(segment)) return;
    // Sixth: URG. Seventh: the text. Eighth: FIN.
    if (segment.has(kUrg) || urgent_state == UrgentState::kAnnounced) handle_urgent(segment);
    if (segment.length || segment.has(kFin)) {
        handle_data(segment);
        if (!in_table) return;
    }
    push_pending();
    schedule_ack();
}

// RFC 9293, 3.4: some of it lies in the window, or it is empty and begins there. What was told to
// the peer counts.
bool Connection::sequence_is_acceptable(const Segment& segment) {
    Sequence window_end = window_sent_at + receive_window;
    if (window_end < receive_next) window_end = receive_next;
    return segment.end() >= window_sent_at && segment.sequence <= window_end &&
           (segment.end() >= receive_next ||
            (segment.sequence_length() == 0 && segment.sequence >= window_sent_at));
}

// RFC 5961, 3.2: only the exact number resets; RFC 6191 and Linux: also the end of a SACK block.
void Connection::handle_reset(const Segment& segment) {
    bool exact = segment.sequence == receive_next;
    if (sack_on && sack_block_count) {
        Sequence highest = sack_blocks[0].end;
        for (uint8_t i = 1; i < sack_block_count; i++) highest = later(highest, sack_blocks[i].end);
        exact |= segment.sequence == highest;
    }
    if (!exact) return send_challenge_ack();
    reset_received = true;
    if (state == State::kSynReceived && listener) {
        stack.counters().EmbryonicRsts++;
    }
    fail(state == State::kCloseWait                    ? EPIPE
         : state == State::kSynReceived && !is_early() ? ECONNREFUSED
                                                       : ECONNRESET);
}

// What the acknowledgement of our FIN does to the state. False: nothing more is to be done.
bool Connection::handle_acknowledged_state(const Segment& segment) {
    bool fin_acknowledged = fin_queued && send_unacknowledged == write_sequence;
    switch (state) {
        case State::kFinWait1:
            if (!fin_acknowledged) break;
            set_state(State::kFinWait2);
            notify(kEventWritable);
            if (is_orphan) {
                int32_t seconds = options.linger2_s;
                if (seconds == 0) seconds = static_cast<int32_t>(stack.settings.fin_timeout_s);
                if (seconds < 0) {
                    leave_table();
                    return false;
                }
                update_timer(keepalive_deadline_ns,
                             now() + static_cast<uint64_t>(seconds) * kSecond);
            }
            break;
        case State::kClosing:
            if (!fin_acknowledged) break;
            enter_time_wait();
            return false;
        case State::kLastAck:
            if (!fin_acknowledged) break;
            leave_table();
            notify(kEventHangUp | kEventReadable | kEventWritable);
            return false;
        default:
            break;
    }
    // Data that nobody can read any more is answered by RST (RFC 2525, 2.17).
    bool half_closed = state == State::kFinWait1 || state == State::kFinWait2;
    if (half_closed && is_orphan && segment.length &&
        segment.end() - segment.has(kFin) > receive_next) {
        stack.counters().TCPAbortOnData++;
        abort(0);
        return false;
    }
    return true;
}

// An answer to a segment that is not in the window, not more often than tcp_invalid_ratelimit says:
// two ends that disagree must not go on for ever.
void Connection::send_invalid_ack(uint64_t& skipped) {
    if (last_invalid_ack_ns &&
        now() - last_invalid_ack_ns < stack.settings.invalid_ack_interval_ms * kMillisecond) {
        skipped++;
        return;
    }
    last_invalid_ack_ns = now();
    send_ack();
}

// RFC 5961, 7: for all connections together, a second.
void Connection::send_challenge_ack() {
    if (last_invalid_ack_ns &&
        now() - last_invalid_ack_ns < stack.settings.invalid_ack_interval_ms * kMillisecond) {
        stack.counters().TCPACKSkippedChallenge++;
        return;
    }
    if (!stack.may_challenge()) return;
    last_invalid_ack_ns = now();
    stack.counters().TCPChallengeACK++;
    send_ack();
}

}  // namespace coracle::net::tcp
