#include "kernel-min/devices/clock_calibration.h"

#include <gtest/gtest.h>

#include <random>

namespace coracle {
namespace {

constexpr uint64_t kTicksPerNs = 3;

// Both clocks as somebody sees them who reads the reference `late_ns` after the TSC.
class Machine {
  public:
    void look_after(uint64_t ns, uint64_t late_ns = 0) {
        now_ns_ += ns;
        const uint64_t tsc = now_ns_ * kTicksPerNs;
        now_ns_ += late_ns;
        calibration.add(tsc - last_tsc_, now_ns_ - last_ns_);
        last_tsc_ = tsc;
        last_ns_ = now_ns_;
    }
    // How far the rate is off, in millionths.
    int64_t error() const {
        constexpr uint64_t kNs = 1'000'000'000;
        return (static_cast<int64_t>(calibration.rate().to_ns(kNs * kTicksPerNs)) -
                static_cast<int64_t>(kNs)) /
               1000;
    }
    ClockCalibration calibration;

  private:
    uint64_t now_ns_ = 0, last_tsc_ = 0, last_ns_ = 0;
};

TEST(ClockCalibration, KnowsNothingBeforeItLooks) {
    ClockCalibration calibration;
    EXPECT_FALSE(calibration.rate().is_known());
    EXPECT_FALSE(calibration.is_exact());
}

TEST(ClockCalibration, IsRoughAtOnceAndExactAfterThreeWindows) {
    Machine machine;
    machine.look_after(50'000, 300);
    EXPECT_TRUE(machine.calibration.rate().is_known());
    EXPECT_FALSE(machine.calibration.is_exact());
    for (int i = 0; i < 210; i++) machine.look_after(50'000, 300);
    EXPECT_TRUE(machine.calibration.is_exact());
    EXPECT_LT(std::abs(machine.error()), 6000);
}

// Each reading belongs to two windows: one comes out too long and the other too short.
TEST(ClockCalibration, DoesNotBelieveAWindowInWhichTheCpuWasStopped) {
    for (unsigned stalled = 1; stalled <= 3; stalled++) {
        Machine machine;
        for (unsigned window = 1; window <= 3; window++) {
            machine.look_after(ClockCalibration::kWindowNs, window == stalled ? 1'700'000 : 0);
            EXPECT_FALSE(machine.calibration.is_exact() && std::abs(machine.error()) > 1000);
        }
        EXPECT_FALSE(machine.calibration.is_exact()) << stalled;
        for (unsigned i = 0; i < 12; i++) machine.look_after(ClockCalibration::kWindowNs);
        EXPECT_TRUE(machine.calibration.is_exact()) << stalled;
        EXPECT_LT(std::abs(machine.error()), 1000) << stalled;
    }
}

TEST(ClockCalibration, MeasuresLongerOnAMachineThatIsAlwaysLate) {
    std::mt19937 random(1);
    Machine machine;
    unsigned looks = 0;
    for (; looks < 10'000 && !machine.calibration.is_exact(); looks++) {
        machine.look_after(100'000, random() % 50'000);
    }
    EXPECT_GT(looks, 102u);
    EXPECT_LT(looks, 10'000u);
}

TEST(ClockCalibration, LeavesTheRateAloneOnceItIsExact) {
    Machine machine;
    for (unsigned i = 0; i < 3; i++) machine.look_after(ClockCalibration::kWindowNs);
    ASSERT_TRUE(machine.calibration.is_exact());
    machine.look_after(ClockCalibration::kWindowNs, 5'000'000);
    machine.look_after(ClockCalibration::kWindowNs);
    EXPECT_TRUE(machine.calibration.is_exact());
}

}  // namespace
}  // namespace coracle
