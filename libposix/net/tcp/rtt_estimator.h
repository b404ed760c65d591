// Round-trip time and retransmission timeout (RFC 6298), with Linux's bounds.
#pragma once

#include <algorithm>
#include <cstdint>

#include "libposix/net/tcp/settings.h"

namespace coracle::net::tcp {

class RttEstimator {
  public:
    void add_sample(uint64_t rtt_ns, uint64_t now_ns) {
        if (smoothed_ns_ == 0) {
            smoothed_ns_ = std::max<uint64_t>(rtt_ns, 1);
            variance_ns_ = rtt_ns / 2;
        } else {
            uint64_t difference =
                rtt_ns > smoothed_ns_ ? rtt_ns - smoothed_ns_ : smoothed_ns_ - rtt_ns;
            variance_ns_ = variance_ns_ - variance_ns_ / 4 + difference / 4;
            smoothed_ns_ = std::max<uint64_t>(smoothed_ns_ - smoothed_ns_ / 8 + rtt_ns / 8, 1);
        }
        latest_ns_ = rtt_ns;
        // The minimum of the last five minutes or so (tcp_min_rtt_wlen).
        if (rtt_ns <= minimum_ns_ || now_ns - minimum_at_ns_ > 300 * kSecond) {
            minimum_ns_ = std::max<uint64_t>(rtt_ns, 1);
            minimum_at_ns_ = now_ns;
        }
        backoff_ = 0;
    }

    bool has_sample() const { return smoothed_ns_ != 0; }
    uint64_t smoothed_ns() const { return smoothed_ns_; }
    uint64_t variance_ns() const { return variance_ns_; }
    uint64_t minimum_ns() const { return minimum_ns_; }  // UINT64_MAX: none yet
    uint64_t latest_ns() const { return latest_ns_; }

    // The timeout without and with exponential backoff.
    uint64_t base_timeout_ns() const {
        if (!has_sample()) return kInitialTimeout;
        return std::min(smoothed_ns_ + std::max(4 * variance_ns_, kMinimumTimeout),
                        kMaximumTimeout);
    }
    uint64_t timeout_ns() const {
        return std::min(base_timeout_ns() << std::min(backoff_, 16u), kMaximumTimeout);
    }
    unsigned backoff() const { return backoff_; }
    void back_off() { backoff_++; }
    void reset_backoff() { backoff_ = 0; }

  private:
    uint64_t smoothed_ns_ = 0;
    uint64_t variance_ns_ = 0;
    uint64_t latest_ns_ = 0;
    uint64_t minimum_ns_ = UINT64_MAX;
    uint64_t minimum_at_ns_ = 0;
    unsigned backoff_ = 0;
};

}  // namespace coracle::net::tcp
