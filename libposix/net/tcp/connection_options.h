// What sockets and connections agree on: states, events, and what setsockopt(2) chooses.
#pragma once

#include <cstdint>

#include "libposix/net/filter/bpf_program.h"
#include "libposix/net/tcp/congestion.h"
#include "libposix/net/tcp/environment.h"

namespace coracle::net::tcp {

// Linux's numbers (net/tcp_states.h; TCP_INFO and /proc/net/tcp show them).
enum class State : uint8_t {
    kEstablished = 1,
    kSynSent,
    kSynReceived,
    kFinWait1,
    kFinWait2,
    kTimeWait,
    kClosed,
    kCloseWait,
    kLastAck,
    kListen,
    kClosing,
};

constexpr uint32_t kEventConnected = 1;  // established, or failed
constexpr uint32_t kEventReadable = 2;   // data or end of file
constexpr uint32_t kEventWritable = 4;
constexpr uint32_t kEventUrgent = 8;
constexpr uint32_t kEventError = 16;   // error_code is set
constexpr uint32_t kEventHangUp = 32;  // both directions have ended
constexpr uint32_t kEventAccept = 64;  // of a listener: a connection waits
// With kEventUrgent: the first that is heard of an urgent byte, never under the lock held locally.
constexpr uint32_t kEventUrgentAnnounced = 128;

class Observer {
  public:
    virtual void on_tcp_event(uint32_t events) = 0;

  protected:
    ~Observer() = default;
};

// Who else may have the local port (SO_REUSEADDR, SO_REUSEPORT).
struct PortSharing {
    bool reuses_address = false, reuses_port = false;
    uint32_t user = 0;
};

// What setsockopt(2) sets; a listener hands them on to its connections.
struct ConnectionOptions {
    IpChoices ip;
    PortSharing sharing;
    const CongestionControl* congestion = &kCubic;
    uint32_t receive_buffer = 0;        // bytes; 0: tuned from tcp_rmem
    uint32_t send_buffer = 0;           // 0: tuned from tcp_wmem
    uint32_t keepalive_idle_s = 0;      // 0: tcp_keepalive_time
    uint32_t keepalive_interval_s = 0;  // 0: tcp_keepalive_intvl
    uint32_t user_timeout_ms = 0;
    uint32_t window_clamp = 0;
    uint32_t not_sent_low_water = 0;            // 0: tcp_notsent_lowat
    uint64_t max_pacing_rate = UINT64_MAX;      // SO_MAX_PACING_RATE, bytes a second
    uint16_t maximum_segment = 0;               // TCP_MAXSEG; 0: the path's
    int16_t linger2_s = 0;                      // TCP_LINGER2; 0: tcp_fin_timeout, negative: none
    uint8_t keepalive_count = 0;                // 0: tcp_keepalive_probes
    uint8_t syn_count = 0;                      // 0: tcp_syn_retries
    uint8_t defer_accept = 0;                   // SYN+ACK retransmissions to wait for data
    uint8_t least_hops = 0, least_hops_v6 = 0;  // segments with fewer are dropped (RFC 5082)
    bool keep_alive = false;
    bool no_delay = false;
    bool cork = false;
    bool urgent_inline = false;
    bool thin_linear_timeouts = false;  // TCP_THIN_LINEAR_TIMEOUTS
    bool fast_open_without_cookie = false;  // TCP_FASTOPEN_NO_COOKIE
    bool resets_on_close = false;  // SO_LINGER with a time of 0
    RefPtr<BpfProgram> filter;  // of segments; null: none. Like least_hops for who hands them over
};

}  // namespace coracle::net::tcp
