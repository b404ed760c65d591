// Congestion control: how the window grows with acknowledgements, and what a loss leaves of it.
// Recovery itself (recovery.cpp) is the same for every algorithm.
#pragma once

#include <cstdint>
#include <string_view>

#include "libposix/net/tcp/rtt_estimator.h"

namespace coracle::net::tcp {

constexpr uint32_t kInfiniteThreshold = 0x7fffffff;  // TCP_INFINITE_SSTHRESH

// Windows are in packets of the sender's MSS.
struct CongestionState {
    uint32_t window = kInitialWindow;
    uint32_t slow_start_threshold = kInfiniteThreshold;
    uint32_t window_credit = 0;  // packets acknowledged since the window last grew
    uint32_t window_clamp = UINT32_MAX;

    // Cubic's (RFC 9438, 4.1).
    uint32_t window_max = 0;    // W_max: before the last reduction, less if others grow
    uint32_t window_prior = 0;  // cwnd_prior: before the last reduction
    uint32_t origin = 0;        // the plateau that the curve goes to
    uint32_t estimate = 0;      // W_est: what Reno would have
    uint32_t estimate_credit = 0;
    uint32_t growth_interval = 0;  // packets to acknowledge for one more in the window
    uint32_t last_window = 0;
    uint64_t last_update_ns = 0;
    uint64_t epoch_ns = 0;  // when the present congestion avoidance began; 0: not yet
    uint64_t k_ms = 0;      // K: from then to the plateau

    // HyStart: slow start ends when the round-trip time rises (RFC 9406), or when acknowledgements
    // come in one train that takes half of it.
    uint64_t round_minimum_ns = UINT64_MAX;
    uint64_t last_round_minimum_ns = UINT64_MAX;
    uint32_t round_samples = 0;
    uint64_t train_start_ns = 0;  // of this round
    uint64_t train_end_ns = 0;    // the last acknowledgement without a gap before it

    bool in_slow_start() const { return window < slow_start_threshold; }
};

struct AckSample {
    uint32_t packets;    // newly acknowledged
    uint64_t rtt_ns;     // of this acknowledgement; 0: none
    bool round_started;  // the first acknowledgement of data sent after the last round
    uint64_t now_ns;
};

// Stateless; the one of each algorithm lives for ever.
class CongestionControl {
  public:
    virtual std::string_view name() const = 0;
    // The window is used up, and packets were acknowledged outside of recovery.
    virtual void on_ack(CongestionState& state, const AckSample& sample,
                        const RttEstimator& rtt) const = 0;
    // A loss, or an ECN echo: the new threshold.
    virtual uint32_t threshold_after_loss(CongestionState& state) const = 0;
    // After a timeout, or a pause: what was learned about the path's pace is void.
    virtual void reset(CongestionState& state) const = 0;
    // The last loss was none; the window is back where it was.
    virtual void undo(CongestionState& state) const = 0;
    // The application paused for this long: no growth for the time.
    virtual void on_idle_end(CongestionState& /*state*/, uint64_t /*idle_ns*/) const {}
};

extern const CongestionControl& kCubic;
extern const CongestionControl& kReno;
// By TCP_CONGESTION's name; null if unknown.
const CongestionControl* find_congestion_control(std::string_view name);

// Slow start (RFC 5681, 3.1): a packet for each acknowledged one. Returns the packets that are left
// when the threshold is reached.
uint32_t slow_start(CongestionState& state, uint32_t packets);
// One packet for every `interval` acknowledged ones.
void grow_linearly(CongestionState& state, uint32_t interval, uint32_t packets);

}  // namespace coracle::net::tcp
