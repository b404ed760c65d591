// What /proc/sys/net/ipv4/tcp_* sets on Linux, with its defaults (ip-sysctl.rst), and the
// protocol's fixed times.
#pragma once

#include <cstdint>

namespace coracle::net::tcp {

constexpr uint64_t kMillisecond = 1'000'000;  // in nanoseconds
constexpr uint64_t kSecond = 1'000'000'000;

constexpr uint64_t kInitialTimeout = kSecond;                    // RFC 6298, 2.1
constexpr uint64_t kMinimumTimeout = 200 * kMillisecond;         // TCP_RTO_MIN
constexpr uint64_t kMaximumTimeout = 120 * kSecond;              // TCP_RTO_MAX
constexpr uint64_t kDelayedAckMinimum = 40 * kMillisecond;       // TCP_ATO_MIN, TCP_DELACK_MIN
constexpr uint64_t kDelayedAckMaximum = 200 * kMillisecond;      // TCP_DELACK_MAX
constexpr uint64_t kTimeWaitTime = 60 * kSecond;                 // TCP_TIMEWAIT_LEN
constexpr uint64_t kPawsLifetime = 24ull * 24 * 3600 * kSecond;  // RFC 7323, 5.5
constexpr uint32_t kInitialWindow = 10;                          // segments: RFC 6928
constexpr uint32_t kMaxQuickAcks = 16;                           // TCP_MAX_QUICKACKS
constexpr uint32_t kDuplicateThreshold = 3;                      // RFC 5681, 3.2
constexpr uint32_t kMinimumSegment = 88;                         // TCP_MIN_MSS
constexpr uint32_t kDefaultSegment = 536;                        // RFC 9293, 3.7.1

struct MemoryRange {
    uint32_t minimum, initial, maximum;
};

struct Settings {
    MemoryRange receive_memory{4096, 131072, 6291456};  // tcp_rmem
    MemoryRange send_memory{4096, 16384, 4194304};      // tcp_wmem
    uint32_t syn_retries = 6;
    uint32_t synack_retries = 5;
    uint32_t retries1 = 3;
    uint32_t retries2 = 15;
    uint32_t orphan_retries = 8;
    uint32_t max_syn_backlog = 512;
    uint32_t max_time_wait = 16384;  // tcp_max_tw_buckets
    uint32_t challenge_ack_limit = 1000;
    uint32_t keepalive_time_s = 7200;
    uint32_t keepalive_probes = 9;
    uint32_t keepalive_interval_s = 75;
    uint32_t fin_timeout_s = 60;
    uint32_t invalid_ack_interval_ms = 500;  // tcp_invalid_ratelimit
    uint32_t not_sent_low_water = UINT32_MAX;
    bool window_scaling = true;
    bool timestamps = true;
    bool sack = true;
    bool syn_cookies = true;
    bool abort_on_overflow = false;
    bool slow_start_after_idle = true;
    bool auto_tune_receive = true;  // tcp_moderate_rcvbuf
    bool early_retransmit = true;   // tcp_early_retrans: tail loss probes
    uint8_t time_wait_reuse = 2;    // tcp_tw_reuse: 0 never, 1 always, 2 over loopback
    uint8_t ecn = 2;                // 0 never, 1 ask and accept, 2 accept
    uint32_t fast_open = 1;         // tcp_fastopen: kFastOpenClient and so on (fast_open.h)
};

}  // namespace coracle::net::tcp
