// A TCP connection (RFC 9293, 3.3.1's transmission control block) from SYN-SENT or SYN-RECEIVED to
// its end. Listeners are in listener.h, TIME-WAIT in time_wait.h.
//
// Segments arrive by Stack::input(), time passes by Stack::run_timers(); sockets use the calls of
// the first public part. What changed is told to the Observer, which must not call back.
//
// Lifetime: counted. The stack holds a reference while the connection is in its table of flows; the
// socket, or the accept queue, holds another until close().
//
// The fields are open to the files of this folder alone.
#pragma once

#include <boost/intrusive/list.hpp>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "libposix/net/tcp/connection_options.h"
#include "libposix/net/tcp/fast_open.h"
#include "libposix/net/tcp/flow.h"
#include "libposix/net/tcp/queued_data.h"
#include "libposix/net/tcp/settings.h"

struct tcp_info;

namespace coracle::net::tcp {

class Stack;
class Listener;

enum class CongestionPhase : uint8_t { kOpen, kDisorder, kReduced, kRecovery, kLoss };  // TCP_CA_*

enum SendFlags : uint8_t { kSendMore = 1, kSendUrgent = 2, kSendEndOfRecord = 4 };

using ListHook =
    boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::safe_link>>;

// The list is the accept queue.
class Connection final : public Flow, public RefCounted<Connection>, public ListHook {
  public:
    // In the state kClosed; Stack::connect() and listeners go on from there.
    Connection(Stack& stack, const FlowKey& flow, const ConnectionOptions& options);
    ~Connection();

    // --- For sockets, which hold a reference through each call ---

    // Payload bytes that send() should be given at most; 0: wait for kEventWritable.
    size_t send_space() const;
    // Whether poll(2) says POLLOUT: a third of the buffer is free (sk_stream_is_writable).
    bool is_writable() const;
    // Queues a chain of payload and sends what may be sent. EPIPE after shutdown_send(), ENOTCONN.
    // The chain's first buffer should have kPacketHeadroom of headroom, then its bytes are not
    // copied. `flags`: SendFlags.
    Result<void> send(BufferPtr data, uint8_t flags);
    // TCP_CORK and TCP_NODELAY were cleared or set.
    void options_changed();

    // Bytes in order that nobody has read.
    uint32_t readable_bytes() const { return receive_bytes; }
    bool has_end_of_file() const { return fin_received && receive_bytes == 0; }
    // Takes the first buffer of what is readable; null if there is none. What the caller does not
    // want it puts back before anybody else reads.
    BufferPtr take_received();
    void put_back(BufferPtr data);
    // Tells that `size` bytes more have been read: the window may open.
    void note_read(uint32_t size);
    // Where the urgent byte lies from the next one to be read on (SIOCATMARK, MSG_OOB).
    bool has_urgent() const { return urgent_state != UrgentState::kNone; }
    uint32_t urgent_distance() const { return distance(copied_sequence(), urgent_sequence); }
    // The byte for MSG_OOB. EINVAL: none, or read before; EAGAIN: announced and not here yet.
    Result<uint8_t> read_urgent(bool peek);
    void urgent_passed();

    // shutdown(2): no more data out; FIN follows what is queued.
    void shutdown_send();
    // The socket is gone. Unread data or a linger time of 0 resets the peer (RFC 9293, 3.6;
    // RFC 2525, 2.17), else the connection ends by itself.
    void close(bool reset);
    // Resets the connection now: close with SO_LINGER 0, or the system's needs.
    void abort(int error);

    void fill_info(tcp_info& to) const;
    uint32_t send_buffer_limit() const { return send_limit; }
    uint32_t receive_buffer_limit() const { return receive_limit; }
    // SO_SNDBUF, SO_RCVBUF: fixed from now on.
    void set_send_buffer(uint32_t bytes);
    void set_receive_buffer(uint32_t bytes);
    uint32_t unacknowledged_bytes() const { return distance(send_unacknowledged, write_sequence); }
    uint32_t unsent_bytes() const { return distance(send_next, write_sequence); }
    // Fast Open: the SYN has not been sent, and takes up to syn_data_space() bytes along, or nothing
    // (null), when it is. In SYN-RECEIVED, a server may send before the handshake ends.
    bool waits_for_data() const { return fast_open.waits_for_data; }
    uint32_t syn_data_space() const;
    void send_with_syn(BufferPtr data);
    bool is_early() const { return state == State::kSynReceived && fast_open.queue; }
    // Keep-alive was switched, or its times changed.
    void keepalive_changed();
    void quick_ack(bool on);
    bool is_synchronized() const {
        return state != State::kSynSent && state != State::kSynReceived && state != State::kClosed;
    }

    // --- Inside TCP ---

    // input_*.cpp: segment arrival (RFC 9293, 3.10.7)
    void input(Segment& segment);
    void path_changed(uint32_t mtu);                    // ICMP: too big
    void soft_error_arrived(int error, bool is_fatal);  // ICMP: unreachable
    // `initial_sequence`: null for a fresh one.
    void begin_active_open(const Sequence* initial_sequence, FastOpen mode);
    void begin_passive_open(const Segment& syn);  // from a listener, or TIME-WAIT
    void timer_fired();

    Stack& stack;
    ConnectionOptions options;
    PathCache path_cache;
    RefPtr<Connection> self;       // held while in the table
    Observer* observer = nullptr;  // the socket; null: an orphan, or not accepted yet
    Listener* listener = nullptr;  // whose accept queue it is in, or will be
    State state = State::kClosed;
    int error_code = 0;  // SO_ERROR
    int soft_error = 0;
    bool is_orphan = false;  // close() was called
    bool send_shut = false;
    bool receive_shut = false;
    bool reset_received = false;

    // Sending (RFC 9293, figure 3)
    Sequence initial_send_sequence;
    Sequence send_unacknowledged;     // SND.UNA
    Sequence send_next;               // SND.NXT
    Sequence write_sequence;          // behind all that is queued, FIN included
    Sequence send_urgent;             // SND.UP
    Sequence window_update_sequence;  // SND.WL1
    uint32_t send_window = 0;         // SND.WND, scaled
    uint32_t largest_window = 0;      // that the peer ever offered
    uint8_t send_scale = 0;
    bool fin_queued = false;
    bool urgent_out = false;  // send_urgent is ahead
    bool path_is_loopback = false;
    bool checksum_offload = false;
    bool send_limit_fixed = false;
    bool receive_limit_fixed = false;
    bool want_space_event = false;  // send_space() was 0
    uint32_t path_mtu = 0;
    uint32_t largest_segment = 0;             // that the layer below cuts
    uint32_t peer_segment = kDefaultSegment;  // the peer's MSS option
    uint32_t segment_size = kDefaultSegment;  // payload of a full segment, without SACK blocks
    uint32_t send_limit = 0;                  // bytes of memory for the send queue
    uint32_t send_memory = 0;                 // in use
    BufferQueue send_queue;                   // SendSegments: in flight, then not yet sent
    Buffer* unsent = nullptr;                 // the first that was never sent
    Buffer* last_sent = nullptr;              // the one before it
    Sequence last_small_segment;              // SND.SML of Minshall's Nagle

    // Scoreboard, in packets
    uint32_t packets_out = 0;
    uint32_t sacked_out = 0;
    uint32_t lost_out = 0;
    uint32_t retransmitted_out = 0;
    Sequence highest_sack;        // the highest end that was acknowledged selectively
    Buffer* sack_hint = nullptr;  // the last segment that a SACK block reached
    Buffer* lost_hint = nullptr;  // no segment before it waits for its retransmission
    uint32_t packets_in_flight() const {
        return packets_out - sacked_out - lost_out + retransmitted_out;
    }

    // Congestion and recovery
    CongestionState congestion;
    RttEstimator rtt;
    CongestionPhase phase = CongestionPhase::kOpen;
    Sequence recovery_end;  // high_seq: what was sent when recovery began
    Sequence undo_marker;
    bool can_undo = false;
    int32_t undo_retransmissions = 0;
    uint32_t prior_window = 0;
    uint32_t prior_threshold = 0;
    uint32_t recovery_window = 0;  // RecoverFS of RFC 6937
    uint32_t prr_delivered = 0, prr_out = 0;
    uint32_t first_retransmission_stamp = 0;  // timestamp of the first in this recovery; 0: none
    uint32_t duplicate_acks = 0;              // without SACK
    uint32_t reordering = kDuplicateThreshold;
    bool window_limited = false;  // the congestion window was used up in this round
    bool reordering_seen = false;
    uint32_t highest_in_flight = 0;
    uint64_t next_send_ns = 0;  // paced: no new data before; 0: not paced
    Sequence round_end;  // of HyStart's and autotuning's rounds

    // RACK (RFC 8985)
    uint64_t rack_sent_ns = 0;
    uint64_t rack_rtt_ns = 0;
    Sequence rack_end;
    uint32_t rack_window_steps = 1;
    uint32_t rack_window_recoveries = 0;  // reo_wnd_persist: until the window is narrow again
    bool rack_advanced = false;
    Sequence dsack_round;
    // Tail loss probe (RFC 8985, 7)
    Sequence probe_end;
    bool probe_is_retransmission = false;
    bool probe_outstanding = false;

    // Receiving
    Sequence initial_receive_sequence;
    Sequence receive_next;        // RCV.NXT
    Sequence window_sent_at;      // receive_next when the window was last told (rcv_wup)
    uint32_t receive_window = 0;  // as told then
    uint8_t receive_scale = 0;
    bool fin_received = false;
    uint32_t receive_limit = 0;                        // bytes of memory
    uint32_t receive_memory = 0;                       // in use, both queues
    uint32_t receive_bytes = 0;                        // readable
    uint32_t window_clamp = 0;                         // of the window that is offered
    uint32_t peer_segment_estimate = kDefaultSegment;  // rcv_mss
    BufferQueue receive_queue;                         // ReceivedData in order; single buffers
    BufferQueue out_of_order;                          // ReceivedData by sequence, without overlap
    SackBlock sack_blocks[kMaxSackBlocks];
    uint8_t sack_block_count = 0;
    bool duplicate_sack_pending = false;
    SackBlock duplicate_sack;
    enum class UrgentState : uint8_t { kNone, kAnnounced, kHere, kRead };
    UrgentState urgent_state = UrgentState::kNone;
    uint8_t urgent_byte = 0;
    Sequence urgent_sequence;  // of the urgent byte

    // Autotuned receive window (dynamic right-sizing)
    uint64_t tuning_round_ns = 0;
    uint32_t tuning_bytes = 0;  // read in the last round
    Sequence tuning_copied;

    // Negotiated
    bool timestamps_on = false;
    bool sack_on = false;
    bool scaling_on = false;
    bool ecn_on = false;
    bool ecn_echo = false;     // to be told with ECE until CWR comes
    bool ecn_reduced = false;  // CWR is to be sent
    uint32_t timestamp_offset = 0;
    uint32_t timestamp_recent = 0;  // TS.Recent
    uint64_t timestamp_recent_ns = 0;

    // Acknowledgements
    bool ack_pending = false;
    bool ack_now = false;
    bool ping_pong = false;  // the application answers: acknowledge with its data
    uint8_t quick_acks = 0;
    uint64_t ack_timeout_ns = kDelayedAckMinimum;
    uint64_t last_data_received_ns = 0;
    uint64_t last_data_sent_ns = 0;
    uint64_t last_ack_received_ns = 0;
    uint64_t last_invalid_ack_ns = 0;  // of answers to out-of-window segments

    // Timers: deadlines; the flow's timer is set to the earliest or an earlier time.
    enum class RetransmitTimer : uint8_t { kNone, kTimeout, kLossProbe, kReordering, kWindowProbe };
    RetransmitTimer retransmit_timer = RetransmitTimer::kNone;
    uint64_t retransmit_deadline_ns = kNever;
    uint64_t ack_deadline_ns = kNever;
    uint64_t pacing_deadline_ns = kNever;
    uint64_t keepalive_deadline_ns = kNever;  // keep-alive; FIN-WAIT-2's end of an orphan
    uint32_t retransmissions = 0;             // of the same data in a row
    uint64_t retransmission_start_ns = 0;     // the first of them
    uint32_t probes_out = 0;
    uint32_t keepalive_probes_out = 0;

    // Statistics for TCP_INFO
    uint64_t bytes_acknowledged = 0, bytes_received = 0, bytes_sent = 0, bytes_retransmitted = 0;
    uint32_t segments_out = 0, segments_in = 0, data_segments_out = 0, data_segments_in = 0;
    uint32_t total_retransmissions = 0, delivered = 0, delivered_ce = 0;
    uint32_t duplicate_sacks_received = 0, reorderings_seen = 0;
    uint64_t delivery_rate_bytes = 0;  // per second, of the last round trip
    uint64_t rate_round_ns = 0;
    uint32_t rate_round_delivered = 0;

    uint64_t now() const;  // the stack's
    uint32_t timestamp_now() const {
        return static_cast<uint32_t>(now() / kMillisecond) + timestamp_offset;
    }
    Sequence copied_sequence() const { return receive_next - (receive_bytes + fin_received); }
    FastOpenState fast_open;

    void set_state(State to);
    void notify(uint32_t events) {
        if (observer) observer->on_tcp_event(events);
    }

    // connection.cpp
    void refresh_path();
    void update_segment_size();
    void fail(int error);  // ends it at once with an error for the socket
    void leave_table();    // and drops the stack's reference: keep one of your own
    void purge_send_queue();
    void enter_time_wait();
    void init_receive_window();
    void established();
    void open_actively();

    // fast_open.cpp
    bool can_fast_open();
    void add_fast_open_option(Options& to) const;
    void finish_fast_open(const Segment& syn);
    void leave_fast_open_queue();
    bool input_repeated_syn(const Segment& segment);

    // input_synchronized.cpp
    void input_syn_sent(Segment& segment);
    bool try_fast_path(Segment& segment);
    void input_synchronized(Segment& segment);
    bool sequence_is_acceptable(const Segment& segment);
    void handle_reset(const Segment& segment);
    bool handle_acknowledged_state(const Segment& segment);
    void send_invalid_ack(uint64_t& skipped);
    void send_challenge_ack();

    // input_ack.cpp
    struct AckOutcome {
        uint32_t newly_acknowledged = 0;  // packets, cumulatively
        uint32_t newly_sacked = 0;
        uint32_t newly_lost = 0;
        uint64_t rtt_ns = 0;
        Sequence prior_highest_sack;
        bool advanced = false;
        bool duplicate_sack = false;
        bool retransmitted_data_acked = false;
        bool round_started = false;
        bool timestamp_says_spurious = false;
    };
    // False: the segment is to be dropped.
    bool handle_ack(const Segment& segment);
    bool update_send_window(const Segment& segment);
    void remove_acknowledged(Sequence ack, AckOutcome& outcome);
    void trim_acknowledged(Buffer& segment, Sequence ack, AckOutcome& outcome);
    void forget_buffer(Buffer* segment);
    void count_acknowledged(SendSegment& info, uint32_t packets, AckOutcome& outcome);
    void take_rtt_sample(const Segment& segment, const AckOutcome& outcome);
    void grow_send_buffer();

    // sack.cpp
    void apply_sack(const Segment& segment, Sequence prior_unacknowledged, AckOutcome& outcome);
    void mark_sacked(const SackBlock& block, AckOutcome& outcome);

    // recovery.cpp
    void update_recovery(const Segment& segment, AckOutcome& outcome, uint32_t prior_in_flight);
    void rack_update(const SendSegment& info);
    uint64_t rack_reordering_window() const;
    // Marks what is lost by time; the remaining time of the next candidate, 0 if there is none.
    uint64_t rack_detect_losses(AckOutcome& outcome);
    void note_reordering(const SendSegment& info);
    void mark_lost(SendSegment& info);
    void mark_lost_without_sack(AckOutcome& outcome);
    void enter_reduction(CongestionPhase to);
    void enter_loss();
    bool undo_if_spurious(const AckOutcome& outcome);
    void reduce_proportionally(uint32_t newly_delivered, uint32_t newly_lost);
    void end_reduction();
    void retransmit_lost();
    void check_loss_probe(Sequence ack, const AckOutcome& outcome);

    // input_data.cpp
    void handle_urgent(const Segment& segment);
    void handle_data(Segment& segment);
    void handle_fin();
    void queue_in_order(BufferPtr data, uint32_t length);
    void queue_out_of_order(Segment& segment);
    void drain_out_of_order();
    void add_sack_block(Sequence start, Sequence end);
    void clean_sack_blocks();
    void set_duplicate_sack(Sequence start, Sequence end);
    bool make_receive_room(uint32_t needed, bool in_order);
    void prune_out_of_order(uint32_t target);
    void note_data_received(const Segment& segment);
    void tune_receive_buffer();
    void schedule_ack();
    void enter_quick_ack_mode();
    void pull_urgent(Sequence start, Buffer& data);

    uint32_t current_segment_size() const;
    // send_queue.cpp
    uint32_t segment_goal() const;
    void append_unsent(BufferPtr data, uint32_t length);
    void start_unsent(BufferPtr data, uint32_t length, uint8_t flags);
    // Cuts a segment of the queue in two; the second comes behind it. False when out of memory.
    bool split_segment(Buffer& segment, uint32_t length);
    void set_packets(SendSegment& info, uint32_t packets);

    // output.cpp
    enum class Push : uint8_t { kByNagle, kHold, kAll };  // what becomes of a last small segment
    void push_pending(Push push = Push::kByNagle);
    bool may_send_small(const SendSegment& info, Push push) const;
    bool send_first_unsent(uint32_t mss, uint32_t limit, Push push);
    uint32_t largest_burst(uint32_t mss, uint64_t rate) const;
    uint64_t pacing_rate() const;
    void pace(uint64_t rate, uint32_t size);
    BufferPtr make_packet(Buffer& segment, size_t header_size);
    void hand_down(BufferPtr packet, uint8_t ecn);
    bool transmit(Buffer& segment, bool again);
    bool retransmit(Buffer& segment);
    void send_ack() { send_control(kAck, send_next); }
    void send_control(uint8_t flags, Sequence sequence);
    void send_reset();
    void send_syn();
    uint16_t choose_window();
    uint32_t free_receive_space() const;
    size_t fill_options(Options& to, bool with_sack) const;
    void after_transmit_of_ack();
    void consider_window_update(uint32_t size_read);
    void restart_after_idle();

    // timers.cpp
    void update_timer(uint64_t& deadline, uint64_t at_ns);
    void arm_retransmit(RetransmitTimer kind, uint64_t delay_ns);
    void arm_after_send();
    void rearm_after_ack();
    void stop_retransmit();
    void retransmit_timeout();
    void window_probe_timeout();
    void loss_probe_timeout();
    void ack_timeout();
    void keepalive_timeout();
    bool gives_up(uint32_t limit);
};

}  // namespace coracle::net::tcp
