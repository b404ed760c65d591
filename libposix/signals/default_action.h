// What a signal without a handler does (man 7 signal, "Standard signals").
#pragma once

#include "libposix/signals/signal_abi.h"

namespace coracle {

enum class DefaultAction { kTerminate, kCoreDump, kIgnore, kStop, kContinue };

constexpr DefaultAction default_action(int signo) {
    switch (signo) {
        case kSigCont:
            return DefaultAction::kContinue;
        case kSigChld:
        case kSigUrg:
        case kSigWinch:
            return DefaultAction::kIgnore;
        case kSigStop:
        case kSigTstp:
        case kSigTtin:
        case kSigTtou:
            return DefaultAction::kStop;
        case kSigQuit:
        case kSigIll:
        case kSigTrap:
        case kSigAbrt:
        case kSigBus:
        case kSigFpe:
        case kSigSegv:
        case kSigXcpu:
        case kSigXfsz:
        case kSigSys:
            return DefaultAction::kCoreDump;
        default:
            return DefaultAction::kTerminate;
    }
}

constexpr SignalSet kStopSignals = signal_bit(kSigStop) | signal_bit(kSigTstp) |
                                   signal_bit(kSigTtin) | signal_bit(kSigTtou);

// Whether a signal with this handler leaves no trace.
constexpr bool is_ignored(int signo, uint64_t handler) {
    if (handler == kSigIgn) return true;
    const DefaultAction action = default_action(signo);
    return handler == kSigDfl &&
           (action == DefaultAction::kIgnore || action == DefaultAction::kContinue);
}

}  // namespace coracle
