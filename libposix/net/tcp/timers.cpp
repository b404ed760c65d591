// The connection's timers: retransmission, loss and window probes, delayed acknowledgements,
// keep-alive. A flow has one timer in the stack; a deadline that moves away leaves it alone, so
// that the hot path only stores a number, and a timer that fires too early is set again.
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

void Connection::update_timer(uint64_t& deadline, uint64_t at_ns) {
    deadline = at_ns;
    if (at_ns < timer_ns) stack.set_flow_timer(*this, at_ns);
}

void Connection::timer_fired() {
    uint64_t time = now();
    if (ack_deadline_ns <= time) {
        ack_deadline_ns = kNever;
        ack_timeout();
    }
    if (in_table && retransmit_deadline_ns <= time) {
        retransmit_deadline_ns = kNever;
        switch (std::exchange(retransmit_timer, RetransmitTimer::kNone)) {
            case RetransmitTimer::kNone:
                break;
            case RetransmitTimer::kTimeout:
                retransmit_timeout();
                break;
            case RetransmitTimer::kLossProbe:
                loss_probe_timeout();
                break;
            case RetransmitTimer::kReordering: {
                AckOutcome outcome;
                rack_detect_losses(outcome);
                if (outcome.newly_lost) {
                    if (phase < CongestionPhase::kRecovery) {
                        enter_reduction(CongestionPhase::kRecovery);
                    }
                    reduce_proportionally(0, outcome.newly_lost);
                    retransmit_lost();
                }
                if (retransmit_timer == RetransmitTimer::kNone) rearm_after_ack();
                break;
            }
            case RetransmitTimer::kWindowProbe:
                window_probe_timeout();
                break;
        }
    }
    if (in_table && pacing_deadline_ns <= time) {
        pacing_deadline_ns = kNever;
        push_pending();
    }
    if (in_table && keepalive_deadline_ns <= time) {
        keepalive_deadline_ns = kNever;
        keepalive_timeout();
    }
    if (!in_table) return;
    uint64_t next = std::min(
        {retransmit_deadline_ns, ack_deadline_ns, keepalive_deadline_ns, pacing_deadline_ns});
    if (next != kNever && next < timer_ns) stack.set_flow_timer(*this, next);
}

void Connection::arm_retransmit(RetransmitTimer kind, uint64_t delay_ns) {
    retransmit_timer = kind;
    update_timer(retransmit_deadline_ns, now() + delay_ns);
}

void Connection::stop_retransmit() {
    retransmit_timer = RetransmitTimer::kNone;
    retransmit_deadline_ns = kNever;
}

// RFC 6298, 5.1, or a tail loss probe instead (RFC 8985, 7.2).
void Connection::arm_after_send() {
    // Without a round-trip time there is only the timeout, which may be that of a SYN+ACK.
    bool probe = rtt.has_sample() && sack_on && stack.settings.early_retransmit &&
                 !probe_outstanding && phase <= CongestionPhase::kDisorder && sacked_out == 0 &&
                 packets_out;
    if (probe) {
        uint64_t delay = 2 * rtt.smoothed_ns();
        delay += packets_out == 1 ? kMinimumTimeout : 2 * kMillisecond;
        if (delay < rtt.timeout_ns()) return arm_retransmit(RetransmitTimer::kLossProbe, delay);
    }
    if (retransmit_timer == RetransmitTimer::kNone ||
        retransmit_timer == RetransmitTimer::kWindowProbe) {
        arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
    }
}

// RFC 6298, 5.2 and 5.3.
void Connection::rearm_after_ack() {
    if (packets_out) {
        retransmit_timer = RetransmitTimer::kNone;
        arm_after_send();
    } else if (unsent) {
        // The window is shut, or Nagle's or TCP_CORK's data waits.
        arm_retransmit(RetransmitTimer::kWindowProbe, rtt.base_timeout_ns());
    } else {
        stop_retransmit();
    }
}

// Whether `limit` retransmissions' worth of time, or the user's timeout, has passed since the first
// (RFC 9293, 3.8.3; Linux counts it as if each began with the least timeout).
bool Connection::gives_up(uint32_t limit) {
    if (!retransmission_start_ns) return false;
    uint64_t elapsed = now() - retransmission_start_ns;
    if (options.user_timeout_ms) return elapsed >= options.user_timeout_ms * kMillisecond;
    constexpr uint32_t kDoublings = 9;  // until the greatest timeout is reached
    uint64_t allowed = ((2ull << std::min(limit, kDoublings)) - 1) * kMinimumTimeout;
    if (limit > kDoublings) allowed += (limit - kDoublings) * kMaximumTimeout;
    return elapsed >= allowed;
}

void Connection::retransmit_timeout() {
    if (state == State::kSynSent || state == State::kSynReceived) {
        uint32_t limit = options.syn_count ? options.syn_count : stack.settings.syn_retries;
        if (state == State::kSynReceived) limit = stack.settings.synack_retries + is_early();
        bool user_gave_up = options.user_timeout_ms && gives_up(0);
        if (retransmissions >= limit || user_gave_up) {
            stack.counters().TCPTimeouts++;
            return fail(soft_error ? soft_error : ETIMEDOUT);
        }
        if (!retransmissions++) retransmission_start_ns = now();
        stack.counters().TCPTimeouts++;
        stack.counters().TCPSynRetrans++;
        stack.counters().RetransSegs++;
        total_retransmissions++;
        rtt.back_off();
        send_syn();
        return arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
    }
    if (!packets_out) return;
    Buffer* first = send_queue.first();
    if (!retransmission_start_ns) retransmission_start_ns = send_info(*first).sent_ns;
    uint32_t limit = is_orphan ? stack.settings.orphan_retries : stack.settings.retries2;
    if (gives_up(limit)) {
        stack.counters().TCPAbortOnTimeout++;
        return fail(soft_error ? soft_error : ETIMEDOUT);
    }
    stack.counters().TCPTimeouts++;
    if (retransmissions == 0) {
        if (phase == CongestionPhase::kRecovery) {
            ++(sack_on ? stack.counters().TCPSackRecoveryFail
                       : stack.counters().TCPRenoRecoveryFail);
        } else if (phase == CongestionPhase::kLoss) {
            stack.counters().TCPLossFailures++;
        }
    }
    enter_loss();
    retransmissions++;
    if (retransmissions > stack.settings.retries1) refresh_path();
    retransmit_lost();
    // tcp_thin_linear_timeouts: a stream of few packets has nothing to make congestion with.
    constexpr uint32_t kThin = 4, kLinearRetransmissions = 6;
    if (options.thin_linear_timeouts && state == State::kEstablished && packets_out < kThin &&
        retransmissions <= kLinearRetransmissions) {
        rtt.reset_backoff();
    } else {
        rtt.back_off();
    }
    arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
}

// RFC 1122, 4.2.2.17. Also what sends the rest that Nagle or TCP_CORK held back.
void Connection::window_probe_timeout() {
    if (!unsent || packets_out) return;
    if (pacing_deadline_ns != kNever) {
        return arm_retransmit(RetransmitTimer::kWindowProbe, rtt.base_timeout_ns());
    }
    uint32_t limit = is_orphan ? stack.settings.orphan_retries : stack.settings.retries2;
    if (!probes_out) retransmission_start_ns = now();
    bool user_gave_up = options.user_timeout_ms && gives_up(0);
    if (probes_out >= limit || user_gave_up) {
        stack.counters().TCPAbortOnTimeout++;
        return fail(soft_error ? soft_error : ETIMEDOUT);
    }
    uint32_t mss = current_segment_size();
    SendSegment& info = send_info(*unsent);
    uint32_t usable = distance(info.sequence, send_unacknowledged + send_window);
    if (usable) {
        if (info.length > std::min(usable, mss)) split_segment(*unsent, std::min(usable, mss));
        push_pending(Push::kAll);
        if (packets_out) return;
    } else {
        // A byte that the peer has: it answers with its window.
        stack.counters().TCPWinProbe++;
        send_control(kAck, send_unacknowledged - 1);
    }
    probes_out++;
    uint64_t delay = rtt.base_timeout_ns() << std::min(probes_out, 16u);
    arm_retransmit(RetransmitTimer::kWindowProbe, std::min(delay, kMaximumTimeout));
}

// RFC 8985, 7.3: new data if there is any that may go, else the last segment again.
void Connection::loss_probe_timeout() {
    if (!packets_out) return;
    if (probe_outstanding) return rearm_after_ack();
    uint32_t mss = current_segment_size();
    bool sent = unsent && send_first_unsent(mss, mss, Push::kAll);
    probe_is_retransmission = false;
    if (!sent && last_sent) {
        Buffer* last = last_sent;
        SendSegment& info = send_info(*last);
        if (info.length > mss) {
            uint32_t tail = info.length % mss ? info.length % mss : mss;
            if (split_segment(*last, info.length - tail)) last = last_sent;
        }
        sent = send_info(*last).length <= mss && retransmit(*last);
        probe_is_retransmission = sent;
    }
    if (sent) {
        probe_outstanding = true;
        probe_end = send_next;
        stack.counters().TCPLossProbes++;
    }
    arm_retransmit(RetransmitTimer::kTimeout, rtt.timeout_ns());
}

void Connection::ack_timeout() {
    if (!ack_pending) return;
    // It was late: the application does not answer at once.
    if (!ping_pong) {
        ack_timeout_ns = std::min(2 * ack_timeout_ns, rtt.base_timeout_ns());
    } else {
        ping_pong = false;
        ack_timeout_ns = kDelayedAckMinimum;
    }
    stack.counters().DelayedACKs++;
    send_ack();
}

void Connection::quick_ack(bool on) {
    ping_pong = !on;
    if (!on) return;
    quick_acks = std::max<uint8_t>(quick_acks, 2);
    if (ack_pending && is_synchronized()) send_ack();
}

void Connection::keepalive_changed() {
    if (!options.keep_alive || !is_synchronized()) {
        if (!is_orphan) keepalive_deadline_ns = kNever;
        return;
    }
    uint64_t idle =
        options.keepalive_idle_s ? options.keepalive_idle_s : stack.settings.keepalive_time_s;
    uint64_t last = std::max(last_data_received_ns, last_ack_received_ns);
    update_timer(keepalive_deadline_ns, std::max(last + idle * kSecond, now()));
}

// RFC 9293, 3.8.4; of an orphan in FIN-WAIT-2 the end.
void Connection::keepalive_timeout() {
    if (is_orphan && state == State::kFinWait2) {
        return leave_table();
    }
    if (!options.keep_alive || !is_synchronized()) return;
    uint64_t idle = kSecond * (options.keepalive_idle_s ? options.keepalive_idle_s
                                                        : stack.settings.keepalive_time_s);
    uint64_t interval =
        kSecond * (options.keepalive_interval_s ? options.keepalive_interval_s
                                                : stack.settings.keepalive_interval_s);
    uint32_t count =
        options.keepalive_count ? options.keepalive_count : stack.settings.keepalive_probes;
    uint64_t last = std::max(last_data_received_ns, last_ack_received_ns);
    // Data on its way has timers of its own.
    if (packets_out || unsent) return update_timer(keepalive_deadline_ns, now() + idle);
    uint64_t elapsed = now() - last;
    if (elapsed < idle) return update_timer(keepalive_deadline_ns, last + idle);
    bool expired = options.user_timeout_ms
                       ? elapsed >= options.user_timeout_ms * kMillisecond && keepalive_probes_out
                       : keepalive_probes_out >= count;
    if (expired) {
        stack.counters().TCPAbortOnTimeout++;
        send_reset();
        return fail(soft_error ? soft_error : ETIMEDOUT);
    }
    keepalive_probes_out++;
    stack.counters().TCPKeepAlive++;
    send_control(kAck, send_unacknowledged - 1);
    update_timer(keepalive_deadline_ns, now() + interval);
}

}  // namespace coracle::net::tcp
