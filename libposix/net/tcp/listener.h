// A listening socket: half-open connections (the SYN queue), and established ones that wait for
// accept(2). Both are counted as Linux counts them.
//
// Each CPU has an accept queue of its own for the connections whose handshake ended on it, so that
// who accepts there goes on with a connection where its segments arrive.
//
// Lifetime: counted; the socket holds a reference, and the stack one while it listens.
#pragma once

#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/tcp/connection.h"

namespace coracle::net::tcp {

// A connection whose SYN was answered (Linux's request socket). Owned by its listener.
struct HalfOpen final : Flow, ListHook {
    HalfOpen() : Flow(FlowKind::kHalfOpen) {}

    Listener* listener = nullptr;
    Sequence send_initial, receive_initial;
    uint64_t created_ns = 0;
    uint64_t last_invalid_ack_ns = 0;
    uint32_t receive_window = 0;
    uint32_t timestamp_offset = 0;
    uint32_t timestamp_recent = 0;
    uint16_t peer_segment = kDefaultSegment;
    uint16_t peer_window = 0;
    uint8_t send_scale = 0, receive_scale = 0;
    uint8_t retransmissions = 0;
    bool scaling_on = false, timestamps_on = false, sack_on = false, ecn_on = false;
    bool is_acknowledged = false;   // but the accept queue was full, or data is waited for
    uint32_t cookie_timestamp = 0;  // what to send instead of the clock; 0: the clock
};

class Listener final : public RefCounted<Listener> {
  public:
    Listener(Stack& stack, const Endpoint& local, const ConnectionOptions& options,
             uint32_t backlog);
    ~Listener();

    Endpoint local;  // port never 0
    bool is_v6_only = false;
    bool reuses_port = false;  // SO_REUSEPORT: shares its connections with its like
    // Which of its like gets a connection, by the segment's payload; null: its hash says.
    RefPtr<BpfProgram> reuseport_program;
    ConnectionOptions options;  // of new connections
    uint32_t backlog;
    Observer* observer = nullptr;

    // False: there was not enough memory for it, and it cannot be used.
    bool has_memory() const { return accept_queues_.is_allocated(); }

    // A connection that waits, null if there is none: the oldest of this CPU's; if there is none,
    // or others have been passed over often, of the longest queue. The caller sets its observer.
    RefPtr<Connection> accept();
    bool has_connection() const { return accept_count_ > 0; }
    uint32_t accept_queue_length() const { return accept_count_; }
    uint32_t syn_queue_length() const { return half_open_count_; }
    // TCP_FASTOPEN: how many may be accepted whose handshake has not ended.
    void set_fast_open_limit(uint32_t limit);

    // --- Inside TCP ---

    bool shares_with(const Listener& other) const {
        return reuses_port && other.reuses_port && local == other.local &&
               options.ip.interface_index == other.options.ip.interface_index;
    }
    int match(const FlowKey& flow) const;  // how well it fits; negative: not at all
    void input_syn(Segment& segment, const Sequence* initial_sequence);
    void input_half_open(HalfOpen& half_open, Segment& segment);
    // An ACK of no known flow: of a cookie? False: it is not.
    bool input_cookie(Segment& segment);
    void half_open_timer(HalfOpen& half_open);
    bool enqueue(Connection& connection);  // false: it was reset
    void close();                          // resets all that wait

    Listener* next_of_port = nullptr;

  private:
    struct AcceptQueue {
        boost::intrusive::list<Connection> connections;  // each with a reference
        uint32_t count = 0;
    };
    // How many of its own a CPU takes in a row while other CPUs' wait.
    static constexpr uint32_t kMaxOwnInARow = 16;
    AcceptQueue& choose_accept_queue();
    bool accept_queue_is_full() const { return accept_count_ > backlog; }
    void fill_half_open(HalfOpen& half_open, const Segment& segment);
    void send_syn_ack(const HalfOpen& half_open, const FastOpenCookie& cookie = {});
    void drop(HalfOpen& half_open);
    RefPtr<Connection> make_connection(const HalfOpen& half_open);
    bool insert(const RefPtr<Connection>& connection);
    void open_connection(HalfOpen& half_open, Segment& segment, bool in_table);
    // fast_open.cpp
    bool try_fast_open(const HalfOpen& half_open, Segment& syn, FastOpenCookie& cookie);
    bool open_fast(const HalfOpen& half_open, Segment& syn);

    Stack& stack_;
    uint32_t accept_count_ = 0;  // in all queues
    uint32_t own_in_a_row_ = 0;
    uint32_t half_open_count_ = 0;
    PerCpu<AcceptQueue> accept_queues_;
    boost::intrusive::list<HalfOpen> half_open_;
    RefPtr<FastOpenQueue> fast_open_;  // null: it never had a limit
};

}  // namespace coracle::net::tcp
