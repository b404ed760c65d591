// CUBIC (RFC 9438) with HyStart++'s end of slow start (RFC 9406, without its CSS phase).
#include "libposix/net/tcp/congestion.h"

namespace coracle::net::tcp {

namespace {

// The largest x with x^3 <= value.
uint64_t cube_root(uint64_t value) {
    uint64_t root = 0;
    for (int shift = 63; shift >= 0; shift -= 3) {
        root *= 2;
        uint64_t step = 3 * root * (root + 1) + 1;
        if (value >> shift >= step) {
            value -= step << shift;
            root++;
        }
    }
    return root;
}

constexpr uint32_t kBetaNumerator = 7, kBetaDenominator = 10;  // beta_cubic, 4.6
constexpr uint64_t kUpdateInterval = 31 * kMillisecond;
constexpr uint32_t kHyStartLowWindow = 16;
constexpr uint32_t kHyStartSamples = 8;

class Cubic final : public CongestionControl {
  public:
    std::string_view name() const override { return "cubic"; }

    void on_ack(CongestionState& state, const AckSample& sample,
                const RttEstimator& rtt) const override {
        uint32_t packets = sample.packets;
        if (state.in_slow_start()) {
            watch_delay(state, sample);
            packets = slow_start(state, packets);
            if (!packets) return;
        }
        update(state, packets, sample.now_ns, rtt);
        grow_linearly(state, state.growth_interval, packets);
    }

    uint32_t threshold_after_loss(CongestionState& state) const override {
        state.epoch_ns = 0;
        state.window_prior = state.window;
        // Fast convergence, 4.7: give way to newcomers.
        state.window_max =
            state.window < state.window_max
                ? state.window * (kBetaDenominator + kBetaNumerator) / (2 * kBetaDenominator)
                : state.window;
        return std::max(state.window * kBetaNumerator / kBetaDenominator, 2u);
    }

    void reset(CongestionState& state) const override {
        state.epoch_ns = 0;
        state.window_max = state.window_prior = 0;
        state.round_minimum_ns = state.last_round_minimum_ns = UINT64_MAX;
        state.round_samples = 0;
    }
    void undo(CongestionState& state) const override {
        state.window_max = std::max(state.window_max, state.window);
        state.epoch_ns = 0;
    }
    void on_idle_end(CongestionState& state, uint64_t idle_ns) const override {
        if (state.epoch_ns) state.epoch_ns += idle_ns;
    }

  private:
    static void watch_delay(CongestionState& state, const AckSample& sample) {
        if (sample.round_started) {
            state.last_round_minimum_ns = state.round_minimum_ns;
            state.round_minimum_ns = UINT64_MAX;
            state.round_samples = 0;
        }
        if (!sample.rtt_ns) return;
        state.round_minimum_ns = std::min(state.round_minimum_ns, sample.rtt_ns);
        if (++state.round_samples < kHyStartSamples || state.window < kHyStartLowWindow) return;
        if (state.last_round_minimum_ns == UINT64_MAX) return;
        uint64_t tolerance =
            std::clamp(state.last_round_minimum_ns / 8, 4 * kMillisecond, 16 * kMillisecond);
        if (state.round_minimum_ns >= state.last_round_minimum_ns + tolerance) {
            state.slow_start_threshold = state.window;
        }
    }

    // Sets growth_interval by the curve W(t) = C (t - K)^3 + W_max with C = 0.4, t in seconds.
    static void update(CongestionState& state, uint32_t packets, uint64_t now_ns,
                       const RttEstimator& rtt) {
        state.estimate_credit += packets;
        if (state.last_window == state.window && now_ns - state.last_update_ns < kUpdateInterval &&
            state.epoch_ns) {
            return;
        }
        state.last_window = state.window;
        state.last_update_ns = now_ns;
        if (state.epoch_ns == 0) {
            state.epoch_ns = now_ns;
            state.estimate_credit = packets;
            state.estimate = state.window;
            state.origin = std::max(state.window_max, state.window);
            // K^3 = (W_max - cwnd) / C, in ms^3.
            state.k_ms = cube_root(uint64_t{state.origin - state.window} * 2'500'000'000);
        }
        uint64_t minimum_ns = rtt.minimum_ns() == UINT64_MAX ? 0 : rtt.minimum_ns();
        int64_t t_ms = static_cast<int64_t>((now_ns - state.epoch_ns + minimum_ns) / kMillisecond);
        int64_t x =
            std::clamp<int64_t>(t_ms - static_cast<int64_t>(state.k_ms), -(1 << 20), 1 << 20);
        int64_t target = state.origin + x * x / 1000 * x / 1'000'000 * 2 / 5;
        int64_t window = state.window;
        state.growth_interval = target > window ? static_cast<uint32_t>(window / (target - window))
                                                : static_cast<uint32_t>(100 * window);
        // As fast as Reno at least (4.3): alpha = 3 (1 - beta) / (1 + beta) = 9/17 a round trip, and
        // 1 from where the window was before, so as not to lose on average.
        uint32_t estimate_interval =
            std::max(state.estimate < state.window_prior ? state.window * 17 / 9 : state.window, 1u);
        uint32_t steps = state.estimate_credit / estimate_interval;
        state.estimate += steps;
        state.estimate_credit -= steps * estimate_interval;
        if (state.estimate > state.window) {
            uint32_t interval = state.window / (state.estimate - state.window);
            state.growth_interval = std::min(state.growth_interval, interval);
        }
        // 1.5 times a round trip at most (4.4).
        state.growth_interval = std::max(state.growth_interval, 2u);
    }
};

constexpr Cubic cubic;

}  // namespace

const CongestionControl& kCubic = cubic;

}  // namespace coracle::net::tcp
