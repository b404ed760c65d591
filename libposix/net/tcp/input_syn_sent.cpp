// Segment arrival in SYN-SENT (RFC 9293, 3.10.7.3), simultaneous open included.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

// What both ends agreed on by their SYNs; `options` are those of the peer's.
void Connection::begin_passive_open(const Segment& syn) {
    initial_receive_sequence = syn.sequence;
    receive_next = window_sent_at = syn.sequence + 1;
    peer_segment =
        syn.options.maximum_segment_size ? syn.options.maximum_segment_size : kDefaultSegment;
    timestamps_on = syn.options.has_timestamp && stack.settings.timestamps;
    if (timestamps_on) {
        timestamp_recent = syn.options.timestamp;
        timestamp_recent_ns = now();
    }
    sack_on = syn.options.sack_permitted && stack.settings.sack;
    scaling_on = syn.options.has_window_scale && stack.settings.window_scaling;
    send_scale = scaling_on ? syn.options.window_scale : 0;
    if (!scaling_on) {
        receive_scale = 0;
        window_clamp = std::min(window_clamp, 65535u);
    }
    send_window = largest_window = syn.window;  // never scaled in a SYN
    window_update_sequence = syn.sequence;
    update_segment_size();
}

void Connection::input_syn_sent(Segment& segment) {
    bool acknowledges = segment.has(kAck);
    // First: the ACK bit.
    if (acknowledges && (segment.acknowledgement <= initial_send_sequence ||
                         segment.acknowledgement > send_next + fast_open.syn_data)) {
        if (!segment.has(kRst)) stack.answer_with_reset(segment);
        return;
    }
    // A late answer to an earlier connection's SYN (RFC 7323, 3.2).
    if (acknowledges && segment.options.has_timestamp && segment.options.timestamp_echo &&
        static_cast<int32_t>(segment.options.timestamp_echo - timestamp_now()) > 0) {
        stack.counters().PAWSActive++;
        if (!segment.has(kRst)) stack.answer_with_reset(segment);
        return;
    }
    // Second: the RST bit.
    if (segment.has(kRst)) {
        if (acknowledges) fail(ECONNREFUSED);
        return;
    }
    // Fourth: the SYN bit.
    if (!segment.has(kSyn)) return;
    begin_passive_open(segment);
    ecn_on = stack.settings.ecn == 1 && segment.has(kEce) && !segment.has(kCwr);
    finish_fast_open(segment);
    if (!in_table) return;
    if (!acknowledges) {
        // Both opened at once: SYN-RECEIVED.
        set_state(State::kSynReceived);
        send_syn();
        arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
        return;
    }
    if (!retransmissions) {
        rtt.add_sample(std::max<uint64_t>(now() - last_ack_received_ns, 1), now());
    } else if (timestamps_on && segment.options.timestamp_echo) {
        uint32_t elapsed = timestamp_now() - segment.options.timestamp_echo;
        rtt.add_sample(std::max(elapsed, 1u) * kMillisecond, now());
    }
    send_unacknowledged = segment.acknowledgement;
    established();
    ack_pending = true;
    push_pending();  // what Fast Open left takes the acknowledgement along
    if (ack_pending) send_ack();
    notify(kEventConnected | kEventWritable);
    // Data and FIN of the SYN+ACK.
    if (segment.length || segment.has(kFin)) {
        segment.sequence += 1;
        segment.flags &= static_cast<uint8_t>(~kSyn);
        handle_data(segment);
    }
}

}  // namespace coracle::net::tcp
