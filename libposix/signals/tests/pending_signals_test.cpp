#include "libposix/signals/pending_signals.h"

#include <gtest/gtest.h>

namespace coracle {
namespace {

constexpr uint32_t kUser = 1000;
constexpr SignalQuota up_to(uint64_t limit) { return {kUser, limit}; }
constexpr SignalQuota kNoLimit = up_to(UINT64_MAX);
constexpr SignalSet kAll = ~SignalSet{0};
constexpr int kRealtime = kSigRtMin + 5;

SignalInfo info_of(int signo, int code, uint64_t value = 0) {
    SignalInfo info;
    info.signo = signo;
    info.code = code;
    info.kill.value = value;
    return info;
}

using Outcome = PendingSignals::AddOutcome;

TEST(PendingSignals, StandardSignalsWaitOnce) {
    PendingSignals pending;
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kSigUsr1, kSiQueue, 1), kNoLimit));
    EXPECT_EQ(Outcome::kAlreadyPending, pending.add(info_of(kSigUsr1, kSiQueue, 2), kNoLimit));
    SignalInfo taken;
    ASSERT_TRUE(pending.take(kAll, taken));
    EXPECT_EQ(1u, taken.kill.value);
    EXPECT_EQ(0u, pending.set());
    EXPECT_FALSE(pending.take(kAll, taken));
}

TEST(PendingSignals, RealTimeSignalsQueue) {
    PendingSignals pending;
    for (uint64_t i = 0; i < 100; i++) {
        EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue, i), kNoLimit));
    }
    SignalInfo taken;
    for (uint64_t i = 0; i < 100; i++) {
        EXPECT_EQ(signal_bit(kRealtime), pending.set());
        ASSERT_TRUE(pending.take(kAll, taken));
        EXPECT_EQ(i, taken.kill.value);
    }
    EXPECT_EQ(0u, pending.set());
}

TEST(PendingSignals, FaultsThenTheLowestNumberComesFirst) {
    PendingSignals pending;
    for (int signo : {kRealtime, kSigTerm, kSigHup, kSigSegv, kSigInt}) {
        pending.add(info_of(signo, kSiKernel), kNoLimit);
    }
    SignalInfo taken;
    for (int expected : {kSigSegv, kSigHup, kSigInt, kSigTerm, kRealtime}) {
        ASSERT_TRUE(pending.take(kAll, taken));
        EXPECT_EQ(expected, taken.signo);
    }
}

TEST(PendingSignals, OnlyAllowedOnesAreTaken) {
    PendingSignals pending;
    pending.add(info_of(kSigHup, kSiUser), kNoLimit);
    pending.add(info_of(kSigTerm, kSiUser), kNoLimit);
    SignalInfo taken;
    ASSERT_TRUE(pending.take(~signal_bit(kSigHup), taken));
    EXPECT_EQ(kSigTerm, taken.signo);
    EXPECT_FALSE(pending.take(~signal_bit(kSigHup), taken));
    EXPECT_EQ(signal_bit(kSigHup), pending.set());
}

TEST(PendingSignals, LimitAndWhoMayPassIt) {
    PendingSignals pending;
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue, 1), up_to(1)));
    EXPECT_EQ(Outcome::kQueueFull, pending.add(info_of(kRealtime, kSiQueue, 2), up_to(1)));
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime + 1, kSiUser), up_to(1)))
        << "kill(2) loses its details";
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kSigSegv, kSegvMaperr, 0x1000), up_to(1)))
        << "the kernel's own signals are not counted out";
    SignalInfo taken;
    ASSERT_TRUE(pending.take(kAll, taken));
    EXPECT_EQ(0x1000u, taken.kill.value);
    ASSERT_TRUE(pending.take(kAll, taken));
    EXPECT_EQ(1u, taken.kill.value);
    ASSERT_TRUE(pending.take(kAll, taken));
    EXPECT_EQ(kRealtime + 1, taken.signo);
    EXPECT_EQ(kSiUser, taken.code);
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue, 3), up_to(1)))
        << "room again";
}

TEST(PendingSignals, EachUserHasALimit) {
    constexpr uint32_t kOther = kUser + 1;
    PendingSignals pending;
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue), up_to(1)));
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue), {kOther, 1}));
    EXPECT_EQ(Outcome::kQueueFull, pending.add(info_of(kRealtime, kSiQueue), {kOther, 1}));
    EXPECT_EQ(1u, queued_signal_count(kUser));
    EXPECT_EQ(1u, queued_signal_count(kOther));
    pending.remove(kAll);
    EXPECT_EQ(0u, queued_signal_count(kUser));
    EXPECT_EQ(0u, queued_signal_count(kOther + 1));
    EXPECT_EQ(Outcome::kAdded, pending.add(info_of(kRealtime, kSiQueue), {kOther + 1, 1}));
    EXPECT_EQ(0u, queued_signal_count(kOther));
}

TEST(PendingSignals, RemoveForgetsAllOfThem) {
    PendingSignals pending;
    for (int i = 0; i < 5; i++) pending.add(info_of(kRealtime, kSiQueue), kNoLimit);
    pending.add(info_of(kSigInt, kSiUser), kNoLimit);
    pending.remove(signal_bit(kRealtime));
    EXPECT_EQ(signal_bit(kSigInt), pending.set());
    SignalInfo taken;
    ASSERT_TRUE(pending.take(kAll, taken));
    EXPECT_EQ(kSigInt, taken.signo);
}

class CountingTimer final : public TimerSignal {
  public:
    void on_taken(SignalInfo& info) override { info.timer.overrun = ++taken; }
    int taken = 0;
};

TEST(TimerSignal, IsQueuedAgainAndAgain) {
    const uint64_t before = queued_signal_count(kUser);
    {
        PendingSignals pending;
        CountingTimer timer;
        EXPECT_FALSE(timer.reserve(up_to(before)).ok()) << "no room";
        ASSERT_TRUE(timer.reserve(up_to(before + 1)).ok());
        EXPECT_EQ(before + 1, queued_signal_count(kUser));
        timer.info().signo = kSigAlrm;
        for (int round = 1; round <= 3; round++) {
            EXPECT_FALSE(timer.is_queued());
            pending.add(timer);
            EXPECT_TRUE(timer.is_queued());
            EXPECT_EQ(signal_bit(kSigAlrm), pending.set());
            SignalInfo info;
            ASSERT_TRUE(pending.take(~SignalSet{0}, info));
            EXPECT_EQ(round, info.timer.overrun);
            EXPECT_EQ(0u, pending.set());
        }
        pending.add(timer);
        pending.remove(signal_bit(kSigAlrm));
        EXPECT_FALSE(timer.is_queued());
    }
    EXPECT_EQ(before, queued_signal_count(kUser));
}

TEST(TimerSignal, OneThatWaitsOutlivesItsOwner) {
    const uint64_t before = queued_signal_count(kUser);
    PendingSignals pending;
    {
        CountingTimer timer;
        ASSERT_TRUE(timer.reserve(up_to(before + 1)).ok());
        timer.info().signo = kSigUsr1;
        pending.add(timer);
    }
    SignalInfo info;
    ASSERT_TRUE(pending.take(~SignalSet{0}, info));
    EXPECT_EQ(kSigUsr1, info.signo);
    EXPECT_EQ(before, queued_signal_count(kUser));
}

}  // namespace
}  // namespace coracle
