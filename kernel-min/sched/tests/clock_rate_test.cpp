#include "kernel-min/devices/clock_rate.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

TEST(ClockRate, UnknownUntilMeasured) {
    EXPECT_FALSE(ClockRate{}.is_known());
    EXPECT_FALSE(ClockRate::measured(0, 5).is_known());
    EXPECT_FALSE(ClockRate::measured(5, 0).is_known());
    EXPECT_FALSE(ClockRate::from_hertz(0).is_known());
}

TEST(ClockRate, OneTickANanosecondIsExact) {
    const ClockRate rate = ClockRate::measured(123'456'789, 123'456'789);
    EXPECT_EQ(uint64_t{1} << ClockRate::kShift, rate.multiplier);
    EXPECT_EQ(UINT64_MAX >> 1, rate.to_ns(UINT64_MAX >> 1));
}

TEST(ClockRate, KeepsStepOverAYear) {
    for (uint64_t hertz : {10'000'000ul, 999'999'937ul, 2'100'000'000ul, 2'394'454'001ul,
                           5'700'000'000ul}) {
        const ClockRate rate = ClockRate::from_hertz(hertz);
        const uint64_t year = 365ul * 24 * 3600;
        const uint64_t ns = rate.to_ns(hertz * year);
        const double error = static_cast<double>(ns) / (static_cast<double>(year) * 1e9) - 1;
        EXPECT_LT(std::abs(error), 1e-9) << hertz;
    }
}

TEST(ClockRate, LongMeasurementsDoNotOverflow) {
    // A day at 3 GHz: more nanoseconds than fit 32 bits.
    const uint64_t day = 24ul * 3600;
    const ClockRate rate = ClockRate::measured(day * 3 * kSecond, day * kSecond);
    EXPECT_NEAR(static_cast<double>(rate.to_ns(3 * kSecond)), 1e9, 2);
}

}  // namespace
}  // namespace coracle
