// CUBIC (RFC 9438) with HyStart's end of slow start (4.10): by delay as in RFC 9406, 4.2, without
// its CSS phase, and by the train of acknowledgements (Ha and Rhee, "Taming the elephants", 2011).
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
constexpr uint64_t kTrainGap = 2 * kMillisecond;

class Cubic final : public CongestionControl {
  public:
    std::string_view name() const override { return "cubic"; }

    void on_ack(CongestionState& state, const AckSample& sample,
                const RttEstimator& rtt) const override {
        uint32_t packets = sample.packets;
        if (state.in_slow_start()) {
            watch_round(state, sample, rtt.minimum_ns());
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
    static void watch_round(CongestionState& state, const AckSample& sample, uint64_t minimum_ns) {
        if (sample.round_started) {
            state.last_round_minimum_ns = state.round_minimum_ns;
            state.round_minimum_ns = UINT64_MAX;
            state.round_samples = 0;
            state.train_start_ns = state.train_end_ns = sample.now_ns;
        }
        if (delay_has_risen(state, sample.rtt_ns) ||
            train_is_long(state, sample.now_ns, minimum_ns)) {
            state.slow_start_threshold = state.window;
        }
    }

    static bool delay_has_risen(CongestionState& state, uint64_t rtt_ns) {
        if (!rtt_ns) return false;
        state.round_minimum_ns = std::min(state.round_minimum_ns, rtt_ns);
        if (++state.round_samples < kHyStartSamples || state.window < kHyStartLowWindow ||
            state.last_round_minimum_ns == UINT64_MAX) {
            return false;
        }
        uint64_t tolerance =
            std::clamp(state.last_round_minimum_ns / 8, 4 * kMillisecond, 16 * kMillisecond);
        return state.round_minimum_ns >= state.last_round_minimum_ns + tolerance;
    }

    // In slow start two packets leave for one that was acknowledged. What comes back at the
    // bottleneck's pace for half of a round trip has filled the path when the round is over.
    static bool train_is_long(CongestionState& state, uint64_t now_ns, uint64_t minimum_ns) {
        if (now_ns - state.train_end_ns > kTrainGap) return false;
        state.train_end_ns = now_ns;
        return state.window >= kHyStartLowWindow && minimum_ns != UINT64_MAX &&
               now_ns - state.train_start_ns > minimum_ns / 2;
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
        // As fast as Reno at least (4.3): alpha = 3 (1 - beta) / (1 + beta) = 9/17 a round trip,
        // and 1 from where the window was before, so as not to lose on average.
        uint32_t estimate_interval = std::max(
            state.estimate < state.window_prior ? state.window * 17 / 9 : state.window, 1u);
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
