// What follows a loss: fast recovery with proportional rate reduction (RFC 6675, RFC 6937, RFC 6582
// without SACK), the timeout's loss recovery (RFC 5681), and their undoing when nothing was lost
// (RFC 3522, RFC 3708).
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

void Connection::update_recovery(const Segment&, AckOutcome& outcome, uint32_t) {
    // What the present phase waited for.
    if (phase >= CongestionPhase::kReduced && send_unacknowledged >= recovery_end) {
        // RFC 8985, 6.2, step 4: wait less for what is late when that has not helped for long.
        if (phase >= CongestionPhase::kRecovery && !outcome.duplicate_sack &&
            rack_window_recoveries && --rack_window_recoveries == 0) {
            rack_window_steps = 1;
        }
        if (!undo_if_spurious(outcome) && phase != CongestionPhase::kLoss) end_reduction();
        phase = CongestionPhase::kOpen;
        can_undo = false;
        first_retransmission_stamp = 0;
        if (!sack_on) sacked_out = 0;
    } else if (phase >= CongestionPhase::kRecovery && outcome.advanced &&
               undo_if_spurious(outcome)) {
        phase = CongestionPhase::kOpen;
    }
    bool disturbed = phase != CongestionPhase::kOpen || sacked_out || lost_out ||
                     retransmitted_out || outcome.retransmitted_data_acked;
    if (!sack_on) {
        mark_lost_without_sack(outcome);
    } else if (disturbed && (rack_advanced || phase >= CongestionPhase::kRecovery)) {
        if (retransmit_timer == RetransmitTimer::kReordering) {
            retransmit_timer = RetransmitTimer::kNone;
        }
        if (!rack_detect_losses(outcome) && retransmit_timer == RetransmitTimer::kNone) {
            rearm_after_ack();
        }
    }
    if (lost_out && phase < CongestionPhase::kRecovery) {
        ++(sack_on ? stack.counters().TCPSackRecovery : stack.counters().TCPRenoRecovery);
        enter_reduction(CongestionPhase::kRecovery);
    } else if (phase <= CongestionPhase::kDisorder) {
        phase = sacked_out ? CongestionPhase::kDisorder : CongestionPhase::kOpen;
    }
    uint32_t newly_delivered = outcome.newly_acknowledged + outcome.newly_sacked;
    if (phase == CongestionPhase::kReduced || phase == CongestionPhase::kRecovery) {
        reduce_proportionally(newly_delivered, outcome.newly_lost);
    } else if (newly_delivered) {
        bool used_up =
            congestion.in_slow_start() ? congestion.window < 2 * highest_in_flight : window_limited;
        if (used_up) {
            options.congestion->on_ack(
                congestion, {newly_delivered, outcome.rtt_ns, outcome.round_started, now()}, rtt);
        }
    }
    if (lost_out) retransmit_lost();
}

// RFC 5681, 3.2 and RFC 6582: three duplicates mean that the first packet is lost, and so does an
// acknowledgement of only a part in recovery.
void Connection::mark_lost_without_sack(AckOutcome& outcome) {
    Buffer* first = send_queue.first();
    if (!first || first == unsent) {
        sacked_out = 0;
        return;
    }
    if (outcome.advanced) {
        uint32_t arrived = outcome.newly_acknowledged ? outcome.newly_acknowledged - 1 : 0;
        sacked_out -= std::min(sacked_out, arrived);
        if (phase < CongestionPhase::kRecovery) sacked_out = 0;
    } else if (duplicate_acks) {
        sacked_out =
            std::min(sacked_out + 1, packets_out - lost_out > 0 ? packets_out - lost_out - 1 : 0);
    }
    bool partial = phase == CongestionPhase::kRecovery && outcome.advanced;
    bool begin = phase < CongestionPhase::kRecovery && duplicate_acks >= reordering;
    SendSegment& info = send_info(*first);
    if ((!partial && !begin) || info.is_lost) return;
    if (info.packets > 1 && info.length > segment_size && !split_segment(*first, segment_size)) {
        return;
    }
    sacked_out = std::min(sacked_out, packets_out - lost_out - info.packets);
    mark_lost(info);
    lost_hint = first;
    outcome.newly_lost += info.packets;
}

void Connection::enter_reduction(CongestionPhase to) {
    if (phase < CongestionPhase::kReduced) {
        prior_window = congestion.window;
        prior_threshold = congestion.slow_start_threshold;
        congestion.slow_start_threshold = options.congestion->threshold_after_loss(congestion);
        recovery_window = std::max(congestion.window, 1u);
        prr_delivered = prr_out = 0;
        if (ecn_on) ecn_reduced = true;
    }
    can_undo = to == CongestionPhase::kRecovery;
    undo_marker = send_unacknowledged;
    undo_retransmissions = -1;
    first_retransmission_stamp = 0;
    probe_outstanding = false;
    recovery_end = send_next;
    phase = to;
}

// RFC 6937 with the slow start reduction bound.
void Connection::reduce_proportionally(uint32_t newly_delivered, uint32_t newly_lost) {
    if (phase != CongestionPhase::kReduced && phase != CongestionPhase::kRecovery) return;
    prr_delivered += newly_delivered;
    uint32_t in_flight = packets_in_flight();
    uint32_t threshold = congestion.slow_start_threshold;
    int64_t may_send;
    if (in_flight > threshold) {
        may_send =
            static_cast<int64_t>((uint64_t{threshold} * prr_delivered + recovery_window - 1) /
                                 recovery_window) -
            prr_out;
    } else {
        int64_t limit =
            std::max<int64_t>(static_cast<int64_t>(prr_delivered) - prr_out, newly_delivered);
        if (!newly_lost && newly_delivered) limit++;
        may_send = std::min<int64_t>(threshold - in_flight, limit);
    }
    may_send = std::max<int64_t>(may_send, prr_out ? 0 : 1);
    congestion.window = in_flight + static_cast<uint32_t>(may_send);
}

void Connection::end_reduction() {
    if (congestion.slow_start_threshold < kInfiniteThreshold) {
        congestion.window = std::max(congestion.slow_start_threshold, 1u);
    }
    congestion.window_credit = 0;
    phase = CongestionPhase::kOpen;
}

// RFC 5681, 3.1 (equation 4) and RFC 6298, 5.4: everything that is not known to have arrived counts
// as lost.
void Connection::enter_loss() {
    bool first_time = phase <= CongestionPhase::kDisorder ||
                      (phase != CongestionPhase::kLoss && send_unacknowledged >= recovery_end) ||
                      (phase == CongestionPhase::kLoss && retransmissions == 0);
    if (first_time) {
        prior_window = congestion.window;
        prior_threshold = congestion.slow_start_threshold;
        congestion.slow_start_threshold = options.congestion->threshold_after_loss(congestion);
        can_undo = true;
        undo_marker = send_unacknowledged;
        undo_retransmissions = -1;
        first_retransmission_stamp = 0;
    }
    options.congestion->reset(congestion);
    Buffer* first = send_queue.first();
    // A receiver that has let go of what it acknowledged selectively (RFC 2018, 8).
    bool reneged = first && first != unsent && send_info(*first).is_sacked;
    if (reneged) stack.counters().TCPSACKReneging++;
    if (!sack_on) sacked_out = 0;
    for (Buffer* segment = first; segment && segment != unsent;
         segment = BufferQueue::after(segment)) {
        SendSegment& info = send_info(*segment);
        if (reneged && info.is_sacked) {
            info.is_sacked = false;
            sacked_out -= info.packets;
        }
        if (!info.is_sacked) mark_lost(info);
    }
    lost_hint = sack_hint = nullptr;
    congestion.window = packets_in_flight() + 1;
    congestion.window_credit = 0;
    reordering = kDuplicateThreshold;
    phase = CongestionPhase::kLoss;
    recovery_end = send_next;
    probe_outstanding = false;
    duplicate_acks = 0;
    window_limited = true;
}

bool Connection::undo_if_spurious(const AckOutcome& outcome) {
    if (!can_undo) return false;
    bool by_timestamp = outcome.timestamp_says_spurious;
    bool by_duplicates = undo_retransmissions == 0;
    if (!by_timestamp && !by_duplicates) return false;
    if (phase == CongestionPhase::kLoss) {
        stack.counters().TCPLossUndo++;
        stack.counters().TCPSpuriousRTOs += by_timestamp;
    } else {
        ++(by_duplicates                         ? stack.counters().TCPDSACKUndo
           : send_unacknowledged >= recovery_end ? stack.counters().TCPFullUndo
                                                 : stack.counters().TCPPartialUndo);
    }
    congestion.window = std::max(congestion.window, prior_window);
    congestion.slow_start_threshold = std::max(congestion.slow_start_threshold, prior_threshold);
    options.congestion->undo(congestion);
    for (Buffer* segment = send_queue.first(); segment && segment != unsent;
         segment = BufferQueue::after(segment)) {
        SendSegment& info = send_info(*segment);
        if (!info.is_lost) continue;
        info.is_lost = false;
        lost_out -= info.packets;
    }
    can_undo = false;
    first_retransmission_stamp = 0;
    reordering_seen = true;
    return true;
}

void Connection::retransmit_lost() {
    Buffer* segment = lost_hint ? lost_hint : send_queue.first();
    bool sent = false;
    for (; segment && segment != unsent; segment = BufferQueue::after(segment)) {
        SendSegment& info = send_info(*segment);
        if (!info.is_lost || info.is_in_retransmission) continue;
        lost_hint = segment;
        uint32_t in_flight = packets_in_flight();
        if (in_flight >= congestion.window) break;
        uint32_t quota = congestion.window - in_flight;
        uint32_t mss = current_segment_size();
        if (info.packets > quota && info.length > quota * mss &&
            !split_segment(*segment, quota * mss)) {
            break;
        }
        if (!retransmit(*segment)) break;
        ++(phase == CongestionPhase::kLoss ? stack.counters().TCPSlowStartRetrans
                                           : stack.counters().TCPFastRetrans);
        if (phase >= CongestionPhase::kReduced) prr_out += info.packets;
        sent = true;
    }
    if (sent && retransmit_timer != RetransmitTimer::kReordering) {
        arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
    }
}

}  // namespace coracle::net::tcp
