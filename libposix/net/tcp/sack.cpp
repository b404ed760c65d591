// The scoreboard of selective acknowledgements (RFC 2018, RFC 2883, RFC 6675).
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
constexpr uint32_t kWideWindowRecoveries = 16;  // RFC 8985, 6.2, step 4
}

void Connection::apply_sack(const Segment& segment, Sequence prior_unacknowledged,
                            AckOutcome& outcome) {
    const SackBlock* blocks = segment.options.sack;
    uint8_t count = segment.options.sack_count;
    uint8_t first = 0;
    // RFC 2883: the first block reports a duplicate if it lies below the acknowledgement or within
    // the second.
    bool below = blocks[0].start < segment.acknowledgement;
    bool within = count > 1 && blocks[0].start >= blocks[1].start && blocks[0].end <= blocks[1].end;
    if (below || within) {
        bool plausible = blocks[0].end > blocks[0].start && blocks[0].end <= send_next &&
                         blocks[0].end - (prior_unacknowledged - largest_window) > 0;
        first = 1;
        if (plausible) {
            outcome.duplicate_sack = true;
            ++(below ? stack.counters().TCPDSACKRecv : stack.counters().TCPDSACKOfoRecv);
            duplicate_sacks_received++;
            reordering_seen = true;
            if (undo_retransmissions > 0) {
                uint32_t bytes = distance(blocks[0].start, blocks[0].end);
                auto packets = static_cast<int32_t>(std::max(bytes / segment_size, 1u));
                undo_retransmissions = std::max(undo_retransmissions - packets, 0);
            }
            // RFC 8985, 6.2, step 4: wait longer for what may only be late.
            if (segment.acknowledgement >= dsack_round) {
                rack_window_steps = std::min(rack_window_steps + 1, 255u);
                rack_window_recoveries = kWideWindowRecoveries;
                dsack_round = send_next;
            }
        } else {
            stack.counters().TCPSACKDiscard++;
        }
    }
    for (uint8_t i = first; i < count; i++) {
        bool is_valid = blocks[i].start < blocks[i].end && blocks[i].end <= send_next &&
                        blocks[i].end > send_unacknowledged &&
                        blocks[i].start >= send_unacknowledged;
        if (!is_valid) {
            stack.counters().TCPSACKDiscard++;
            continue;
        }
        mark_sacked(blocks[i], outcome);
    }
}

void Connection::mark_sacked(const SackBlock& block, AckOutcome& outcome) {
    Buffer* segment = send_queue.first();
    if (sack_hint && send_info(*sack_hint).sequence <= block.start) segment = sack_hint;
    for (; segment && segment != unsent; segment = BufferQueue::after(segment)) {
        SendSegment* info = &send_info(*segment);
        if (info->end() <= block.start) continue;
        if (info->sequence >= block.end) break;
        sack_hint = segment;
        if (info->is_sacked) continue;
        if (info->sequence < block.start) {
            if (!split_segment(*segment, distance(info->sequence, block.start))) break;
            continue;
        }
        // A FIN alone behind the block's end stays with the segment.
        if (info->end() > block.end) {
            uint32_t size = distance(info->sequence, block.end);
            if (size >= info->length || !split_segment(*segment, size)) break;
        }
        if (info->is_lost) {
            lost_out -= info->packets;
            info->is_lost = false;
        }
        if (info->is_in_retransmission) {
            retransmitted_out -= info->packets;
            info->is_in_retransmission = false;
        }
        if (!info->was_retransmitted) {
            if (info->sequence < outcome.prior_highest_sack) note_reordering(*info);
            outcome.rtt_ns = std::max<uint64_t>(now() - info->sent_ns, 1);
        }
        info->is_sacked = true;
        sacked_out += info->packets;
        delivered += info->packets;
        outcome.newly_sacked += info->packets;
        rack_update(*info);
        highest_sack = later(highest_sack, info->end());
    }
}

}  // namespace coracle::net::tcp
