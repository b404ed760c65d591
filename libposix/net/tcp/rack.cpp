// Losses found by time (RFC 8985): a packet is lost when one that was sent sufficiently later has
// arrived.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

// Step 2: the most recently sent of what was delivered.
void Connection::rack_update(const SendSegment& info) {
    uint64_t elapsed = now() - info.sent_ns;
    // The acknowledgement may be for the first transmission.
    if (info.was_retransmitted && elapsed < rtt.minimum_ns()) return;
    rack_advanced = true;
    rack_rtt_ns = elapsed;
    if (info.sent_ns > rack_sent_ns || (info.sent_ns == rack_sent_ns && info.end() > rack_end)) {
        rack_sent_ns = info.sent_ns;
        rack_end = info.end();
    }
}

// Step 3: delivered, though never sent again, after what follows it.
void Connection::note_reordering(const SendSegment& info) {
    uint32_t packets = distance(info.sequence, highest_sack) / std::max(segment_size, 1u);
    reordering = std::clamp(packets, reordering, 300u);
    reordering_seen = true;
    reorderings_seen++;
    ++(timestamps_on ? stack.counters().TCPTSReorder : stack.counters().TCPSACKReorder);
}

// Step 4.
uint64_t Connection::rack_reordering_window() const {
    if (!reordering_seen) {
        if (phase >= CongestionPhase::kRecovery || sacked_out >= 3) return 0;
    }
    if (rtt.minimum_ns() == UINT64_MAX) return 0;
    return std::min(rtt.minimum_ns() / 4 * rack_window_steps, rtt.smoothed_ns());
}

// Step 5.
uint64_t Connection::rack_detect_losses(AckOutcome& outcome) {
    if (!rack_sent_ns) return 0;
    uint64_t window = rack_reordering_window();
    uint64_t next = 0;
    for (Buffer* segment = send_queue.first(); segment && segment != unsent;
         segment = BufferQueue::after(segment)) {
        SendSegment& info = send_info(*segment);
        if (info.is_sacked || (info.is_lost && !info.is_in_retransmission)) continue;
        bool sent_before =
            info.sent_ns < rack_sent_ns || (info.sent_ns == rack_sent_ns && info.end() < rack_end);
        if (!sent_before) {
            // First transmissions are in the order of time.
            if (!info.was_retransmitted && info.sequence >= highest_sack) break;
            continue;
        }
        uint64_t due = info.sent_ns + rack_rtt_ns + window;
        if (due <= now()) {
            mark_lost(info);
            outcome.newly_lost += info.packets;
            if (!lost_hint || info.sequence < send_info(*lost_hint).sequence) lost_hint = segment;
        } else {
            next = std::max(next, due - now());
        }
    }
    if (next) arm_retransmit(RetransmitTimer::kReordering, next + kMillisecond / 4);
    return next;
}

void Connection::mark_lost(SendSegment& info) {
    if (info.is_in_retransmission) {
        info.is_in_retransmission = false;
        retransmitted_out -= info.packets;
        stack.counters().TCPLostRetransmit += info.packets;
    }
    if (info.is_lost) return;
    info.is_lost = true;
    lost_out += info.packets;
}

// RFC 8985, 7.4: what the acknowledgement of a probe tells.
void Connection::check_loss_probe(Sequence ack, const AckOutcome& outcome) {
    if (ack < probe_end) return;
    probe_outstanding = false;
    if (!probe_is_retransmission) return;
    if (outcome.duplicate_sack) return;  // the probe was a duplicate: nothing was lost
    if (ack > probe_end || outcome.advanced) {
        // The probe repaired a loss: the congestion window pays for it.
        if (outcome.timestamp_says_spurious) return;
        if (phase < CongestionPhase::kReduced) {
            enter_reduction(CongestionPhase::kReduced);
            congestion.window = std::max(congestion.slow_start_threshold, 1u);
            end_reduction();
        }
        stack.counters().TCPLossProbeRecovery++;
    }
}

}  // namespace coracle::net::tcp
