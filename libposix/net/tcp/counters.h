// What TCP counts, under the names of Linux's /proc/net/snmp and /proc/net/netstat (linux/snmp.h).
#pragma once

#include <cstdint>
#include <string_view>

namespace coracle::net::tcp {

// clang-format off: lists, which it would indent step by step
// X(name): of the `Tcp:` lines of /proc/net/snmp; CurrEstab is a gauge.
#define CORACLE_TCP_SNMP_COUNTERS(X)                                                               \
    X(ActiveOpens) X(PassiveOpens) X(AttemptFails) X(EstabResets) X(CurrEstab) X(InSegs)           \
    X(OutSegs) X(RetransSegs) X(InErrs) X(OutRsts) X(InCsumErrors)

// X(name): of the `TcpExt:` lines of /proc/net/netstat.
#define CORACLE_TCP_EXTENDED_COUNTERS(X)                                                           \
    X(SyncookiesSent) X(SyncookiesRecv) X(SyncookiesFailed) X(EmbryonicRsts) X(PruneCalled)        \
    X(RcvPruned) X(OfoPruned) X(OutOfWindowIcmps) X(LockDroppedIcmps) X(TW) X(TWRecycled)          \
    X(TWKilled) X(PAWSActive) X(PAWSEstab) X(DelayedACKs) X(DelayedACKLocked) X(DelayedACKLost)    \
    X(ListenOverflows) X(ListenDrops) X(TCPHPHits) X(TCPPureAcks) X(TCPHPAcks) X(TCPRenoRecovery)  \
    X(TCPSackRecovery) X(TCPSACKReneging) X(TCPSACKReorder) X(TCPRenoReorder) X(TCPTSReorder)      \
    X(TCPFullUndo) X(TCPPartialUndo) X(TCPDSACKUndo) X(TCPLossUndo) X(TCPLostRetransmit)           \
    X(TCPRenoFailures) X(TCPSackFailures) X(TCPLossFailures) X(TCPFastRetrans)                     \
    X(TCPSlowStartRetrans) X(TCPTimeouts) X(TCPLossProbes) X(TCPLossProbeRecovery)                 \
    X(TCPRenoRecoveryFail) X(TCPSackRecoveryFail) X(TCPRcvCollapsed) X(TCPDSACKOldSent)            \
    X(TCPDSACKOfoSent) X(TCPDSACKRecv) X(TCPDSACKOfoRecv) X(TCPAbortOnData) X(TCPAbortOnClose)     \
    X(TCPAbortOnMemory) X(TCPAbortOnTimeout) X(TCPAbortOnLinger) X(TCPAbortFailed)                 \
    X(TCPSACKDiscard) X(TCPBacklogDrop) X(TCPTimeWaitOverflow) X(TCPDeferAcceptDrop)               \
    X(TCPReqQFullDoCookies) X(TCPReqQFullDrop) X(TCPRetransFail) X(TCPRcvCoalesce) X(TCPOFOQueue)  \
    X(TCPOFODrop) X(TCPOFOMerge) X(TCPChallengeACK) X(TCPSYNChallenge) X(TCPFastOpenActive)        \
    X(TCPFastOpenActiveFail) X(TCPFastOpenPassive) X(TCPFastOpenPassiveFail)                       \
    X(TCPFastOpenListenOverflow) X(TCPFastOpenCookieReqd) X(TCPSpuriousRTOs) X(TCPAutoCorking)     \
    X(TCPFromZeroWindowAdv) X(TCPToZeroWindowAdv) X(TCPWantZeroWindowAdv) X(TCPSynRetrans)         \
    X(TCPOrigDataSent) X(TCPACKSkippedSynRecv) X(TCPACKSkippedPAWS) X(TCPACKSkippedSeq)            \
    X(TCPACKSkippedFinWait2) X(TCPACKSkippedTimeWait) X(TCPACKSkippedChallenge) X(TCPWinProbe)     \
    X(TCPKeepAlive) X(TCPDelivered) X(TCPDeliveredCE) X(TCPAckCompressed) X(TCPZeroWindowDrop)     \
    X(TCPRcvQDrop) X(TCPMinTTLDrop)
// clang-format on

struct Counters {
#define CORACLE_COUNTER(name) uint64_t name = 0;
    CORACLE_TCP_SNMP_COUNTERS(CORACLE_COUNTER)
    CORACLE_TCP_EXTENDED_COUNTERS(CORACLE_COUNTER)
#undef CORACLE_COUNTER
};

// Calls visit(std::string_view name, uint64_t value) for each of a group.
template <typename Visit>
void for_each_snmp_counter(const Counters& counters, Visit visit) {
#define CORACLE_COUNTER(name) visit(std::string_view(#name), counters.name);
    CORACLE_TCP_SNMP_COUNTERS(CORACLE_COUNTER)
#undef CORACLE_COUNTER
}
template <typename Visit>
void for_each_extended_counter(const Counters& counters, Visit visit) {
#define CORACLE_COUNTER(name) visit(std::string_view(#name), counters.name);
    CORACLE_TCP_EXTENDED_COUNTERS(CORACLE_COUNTER)
#undef CORACLE_COUNTER
}

}  // namespace coracle::net::tcp
