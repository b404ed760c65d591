// NewReno's window (RFC 5681), and what the algorithms share.
#include "libposix/net/tcp/congestion.h"

namespace coracle::net::tcp {

uint32_t slow_start(CongestionState& state, uint32_t packets) {
    uint32_t window = std::min(state.window + packets, state.slow_start_threshold);
    packets -= window - state.window;
    state.window = std::min(window, state.window_clamp);
    return packets;
}

void grow_linearly(CongestionState& state, uint32_t interval, uint32_t packets) {
    if (state.window_credit >= interval) {
        state.window_credit = 0;
        state.window++;
    }
    state.window_credit += packets;
    if (state.window_credit >= interval) {
        uint32_t steps = state.window_credit / interval;
        state.window_credit -= steps * interval;
        state.window += steps;
    }
    state.window = std::min(state.window, state.window_clamp);
}

namespace {

class Reno final : public CongestionControl {
  public:
    std::string_view name() const override { return "reno"; }
    void on_ack(CongestionState& state, const AckSample& sample,
                const RttEstimator&) const override {
        uint32_t packets = sample.packets;
        if (state.in_slow_start()) packets = slow_start(state, packets);
        if (packets) grow_linearly(state, state.window, packets);
    }
    uint32_t threshold_after_loss(CongestionState& state) const override {
        return std::max(state.window / 2, 2u);
    }
    void reset(CongestionState&) const override {}
    void undo(CongestionState&) const override {}
};

constexpr Reno reno;

}  // namespace

const CongestionControl& kReno = reno;

const CongestionControl* find_congestion_control(std::string_view name) {
    for (const CongestionControl* control : {&kCubic, &kReno}) {
        if (control->name() == name) return control;
    }
    return nullptr;
}

}  // namespace coracle::net::tcp
