// TCP_INFO (linux/tcp.h).
#include <linux/tcp.h>

#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {

namespace {
uint32_t microseconds(uint64_t ns) {
    return static_cast<uint32_t>(ns / 1000);
}
uint32_t milliseconds_since(uint64_t now, uint64_t then) {
    return then ? static_cast<uint32_t>((now - then) / kMillisecond) : 0;
}
}  // namespace

void Connection::fill_info(tcp_info& to) const {
    to = {};
    to.tcpi_state = static_cast<uint8_t>(state);
    to.tcpi_ca_state = static_cast<uint8_t>(phase);
    to.tcpi_retransmits = static_cast<uint8_t>(std::min(retransmissions, 255u));
    to.tcpi_probes = static_cast<uint8_t>(std::min(probes_out, 255u));
    to.tcpi_backoff = static_cast<uint8_t>(rtt.backoff());
    if (timestamps_on) to.tcpi_options |= TCPI_OPT_TIMESTAMPS;
    if (sack_on) to.tcpi_options |= TCPI_OPT_SACK;
    if (scaling_on) {
        to.tcpi_options |= TCPI_OPT_WSCALE;
        to.tcpi_snd_wscale = send_scale & 15;
        to.tcpi_rcv_wscale = receive_scale & 15;
    }
    if (ecn_on) to.tcpi_options |= TCPI_OPT_ECN;
    if (fast_open.data_acknowledged) to.tcpi_options |= TCPI_OPT_SYN_DATA;
    to.tcpi_fastopen_client_fail = static_cast<uint8_t>(fast_open.failure) & 3;
    to.tcpi_rto = microseconds(rtt.timeout_ns());
    to.tcpi_ato = microseconds(ack_timeout_ns);
    to.tcpi_snd_mss = segment_size;
    to.tcpi_rcv_mss = peer_segment_estimate;
    to.tcpi_unacked = packets_out;
    to.tcpi_sacked = sacked_out;
    to.tcpi_lost = lost_out;
    to.tcpi_retrans = retransmitted_out;
    to.tcpi_last_data_sent = milliseconds_since(now(), last_data_sent_ns);
    to.tcpi_last_data_recv = milliseconds_since(now(), last_data_received_ns);
    to.tcpi_last_ack_recv = milliseconds_since(now(), last_ack_received_ns);
    to.tcpi_pmtu = path_mtu;
    to.tcpi_rcv_ssthresh = window_clamp;
    to.tcpi_rtt = microseconds(rtt.smoothed_ns());
    to.tcpi_rttvar = microseconds(rtt.variance_ns());
    to.tcpi_snd_ssthresh = congestion.slow_start_threshold;
    to.tcpi_snd_cwnd = congestion.window;
    uint16_t advertised = stack.advertised_segment(*this);
    to.tcpi_advmss = timestamps_on ? advertised - kTimestampOptionSize : advertised;
    to.tcpi_reordering = reordering;
    to.tcpi_rcv_rtt = 0;
    to.tcpi_rcv_space = tuning_bytes;
    to.tcpi_total_retrans = total_retransmissions;
    to.tcpi_pacing_rate = pacing_rate();
    to.tcpi_max_pacing_rate = options.max_pacing_rate;
    to.tcpi_bytes_acked = bytes_acknowledged;
    to.tcpi_bytes_received = bytes_received;
    to.tcpi_segs_out = segments_out;
    to.tcpi_segs_in = segments_in;
    to.tcpi_notsent_bytes = unsent_bytes();
    to.tcpi_min_rtt = rtt.minimum_ns() == UINT64_MAX ? ~0u : microseconds(rtt.minimum_ns());
    to.tcpi_data_segs_in = data_segments_in;
    to.tcpi_data_segs_out = data_segments_out;
    to.tcpi_delivery_rate = delivery_rate_bytes;
    to.tcpi_delivered = delivered;
    to.tcpi_delivered_ce = delivered_ce;
    to.tcpi_bytes_sent = bytes_sent;
    to.tcpi_bytes_retrans = bytes_retransmitted;
    to.tcpi_dsack_dups = duplicate_sacks_received;
    to.tcpi_reord_seen = reorderings_seen;
}

}  // namespace coracle::net::tcp
