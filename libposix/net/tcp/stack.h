// One TCP of a machine: its flows, listeners, settings and counters. The kernel has one; a test may
// have several, joined by a wire of its own.
//
// Time: set_now() before every call, with a clock of nanoseconds that does not go back and does not
// begin at 0.
// Locks: none. The kernel lock is held alone, or for a connection with a home locally. What every
// segment changes beside its connection is the current CPU's own: clock, counters, timers. Nothing
// here sleeps.
#pragma once

#include "kernel-min/sched/per_cpu.h"
#include "libposix/net/tcp/connection.h"
#include "libposix/net/tcp/counters.h"
#include "libposix/net/tcp/environment.h"
#include "libposix/net/tcp/flow.h"
#include "libposix/net/tcp/listener.h"
#include "libposix/net/tcp/secret_hash.h"
#include "libposix/net/tcp/time_wait.h"

namespace coracle::net::tcp {

// What IP knows of a packet that came in.
struct Arrival {
    IpAddress from, to;
    uint32_t interface_index = 0;
    uint8_t traffic_class = 0;
    bool is_broadcast = false;
};

class Stack {
  public:
    explicit Stack(Environment& environment);
    ~Stack();
    Stack(const Stack&) = delete;
    Stack& operator=(const Stack&) = delete;
    // False: there was not enough memory for it, and it cannot be used.
    bool has_memory() const { return parts_.is_allocated(); }

    void set_now(uint64_t ns) { parts_.current().now_ns = ns; }
    // A packet from its TCP header on, without padding behind its payload.
    void input(BufferPtr packet, const Arrival& arrival);
    // Runs what is due on this CPU; armed by Environment::arm_timer().
    void run_timers();
    // Has this CPU run the timers of all: the others run no more.
    void take_over_timers();

    // Opens a connection, or leaves it to Connection::send_with_syn() (waits_for_data()).
    // EADDRNOTAVAIL: there is such a flow, or its TIME-WAIT; ENOMEM. The flow has both addresses and
    // ports.
    Result<RefPtr<Connection>> connect(const FlowKey& flow, const ConnectionOptions& options,
                                       Observer* observer, FastOpen fast_open = FastOpen::kNo);
    // Whether connect() would find the flow free.
    bool is_flow_free(const FlowKey& flow) const;
    // Listens at once. EADDRINUSE is the caller's to find. ENOMEM.
    Result<RefPtr<Listener>> listen(const Endpoint& local, const ConnectionOptions& options,
                                    uint32_t backlog);
    void stop_listening(Listener& listener);
    // SO_REUSEPORT: those that share a port have one program, which the first brings along.
    void share_port(Listener& listener, const RefPtr<BpfProgram>& program);
    void set_reuseport_program(Listener& listener, const RefPtr<BpfProgram>& program);

    // The machine ends: what closing every socket would do.
    void close_all();
    // How much of what closed connections sent the peers have not acknowledged; a FIN counts 1.
    uint64_t undelivered() const;

    // ICMP about a segment that we sent (`quoted`: its sequence number); RFC 5927: it must be of
    // what is in flight. EMSGSIZE comes with the path's `mtu`.
    void icmp_error(const FlowKey& flow, Sequence quoted, int error, bool is_fatal, uint32_t mtu);

    // The CPU that processes the segments of an established connection; kNoHome: none in particular,
    // or there is no such.
    uint32_t home_of(const FlowKey& flow) const {
        const Flow* found = flows_.find(flow, hash(flow));
        if (!found || found->kind != FlowKind::kConnection) return kNoHome;
        return static_cast<const Connection*>(found)->state == State::kEstablished ? found->home
                                                                                   : kNoHome;
    }

    // The options of who would get a segment of this flow; null: nobody that has any.
    const ConnectionOptions* find_options(const FlowKey& flow) const;

    // What has been counted on all CPUs.
    Counters total_counters() const;

    size_t flow_count() const { return flows_.size(); }
    size_t time_wait_count() const { return time_wait_count_; }
    template <typename Visit>
    void for_each_flow(Visit visit) const {
        flows_.for_each(visit);
    }
    template <typename Visit>  // visit(const Listener&)
    void for_each_listener(Visit visit) const {
        for (Listener* first : listeners_) {
            for (Listener* listener = first; listener; listener = listener->next_of_port) {
                visit(*listener);
            }
        }
    }

    Settings settings;
    Environment& environment;

    // This CPU's.
    Counters& counters() { return parts_.current().counters; }

    // --- Inside TCP ---

    uint64_t now_ns() const { return parts_.current().now_ns; }
    uint64_t hash(const FlowKey& flow) const { return hash_flow(flow, secret_.words[0]); }
    const HashSecret& secret() const { return secret_; }
    CookieCache& fast_open_cookies() { return fast_open_cookies_; }  // of servers
    uint32_t timestamp_offset(const FlowKey& flow) const {
        return static_cast<uint32_t>(secret_hash_of_flow(secret_, flow, 1));
    }
    Sequence initial_sequence(const FlowKey& flow) const;
    // The MSS option for this path (RFC 6691: without the space of options).
    uint16_t advertised_segment(const Connection& connection) const;
    uint16_t advertised_segment(const FlowKey& flow, uint32_t mtu) const;
    bool insert_flow(Flow& flow) { return flows_.insert(flow); }
    void remove_flow(Flow& flow);
    // On this CPU from now on.
    void set_flow_timer(Flow& flow, uint64_t deadline_ns);
    void start_time_wait(Connection& connection);
    void remove_time_wait(TimeWait& rest);
    bool connection_established(Connection& connection);
    void answer_with_reset(const Segment& segment);
    // An ACK, or SYN+ACK with `options`, of what is no Connection.
    void send_plain(const FlowKey& flow, const HeaderFields& fields, const Options& options);
    bool may_challenge();
    // Whether any SYN cookies are out.
    bool has_sent_cookies() const { return sent_cookies_; }
    void note_sent_cookie() { sent_cookies_ = true; }
    // `payload`: of the segment, for SO_ATTACH_REUSEPORT_CBPF; null: there is none.
    Listener* find_listener(const FlowKey& flow, uint64_t hash, const Buffer* payload) const;

  private:
    void stop_listening();  // everybody
    void take_place(const Listener& left, Listener*& place);
    Listener* choose_sharer(Listener& best, const Buffer* payload) const;
    static constexpr size_t kPortBuckets = 256;
    struct CpuPart {
        uint64_t now_ns = 1;
        FlowTimers timers;
        uint64_t armed_ns = kNever;
        Counters counters;
        uint64_t challenge_second = 0;
        uint32_t challenges_left = 0;
    };
    void dispatch(Segment& segment);
    void arm(CpuPart& part, uint64_t next_deadline_ns);

    HashSecret secret_;
    PerCpu<CpuPart> parts_;
    FlowTable flows_;
    Listener* listeners_[kPortBuckets] = {};
    size_t time_wait_count_ = 0;
    bool sent_cookies_ = false;
    CookieCache fast_open_cookies_;
};

inline uint64_t Connection::now() const {
    return stack.now_ns();
}

}  // namespace coracle::net::tcp
