#include "libposix/signals/pending_signals.h"

#include <bit>
#include <new>

namespace coracle {
namespace {

// Faults come before everything else, so that their handler sees the faulting instruction.
constexpr SignalSet kFaultSignals = signal_bit(kSigSegv) | signal_bit(kSigBus) |
                                    signal_bit(kSigIll) | signal_bit(kSigTrap) |
                                    signal_bit(kSigFpe) | signal_bit(kSigSys);

bool is_standard(int signo) { return signo < kSigRtMin; }

}  // namespace

PendingSignals::AddOutcome PendingSignals::add(const SignalInfo& info, uint64_t queue_limit) {
    if (is_standard(info.signo) && (set_ & signal_bit(info.signo))) {
        return AddOutcome::kAlreadyPending;
    }
    const bool is_unlimited = is_standard(info.signo) && info.code >= 0;
    Entry* entry = nullptr;
    if (is_unlimited || queued_ < queue_limit) entry = new (std::nothrow) Entry;
    if (entry) {
        entry->info = info;
        entries_.push_back(*entry);
        queued_++;
    } else if (!is_standard(info.signo) && info.code != kSiUser) {
        return AddOutcome::kQueueFull;
    }
    set_ |= signal_bit(info.signo);
    return AddOutcome::kAdded;
}

bool PendingSignals::take(SignalSet allowed, SignalInfo& info) {
    SignalSet candidates = set_ & allowed;
    if (!candidates) return false;
    if (candidates & kFaultSignals) candidates &= kFaultSignals;
    const int signo = std::countr_zero(candidates) + 1;

    Entry* first = nullptr;
    bool has_more = false;
    for (Entry& entry : entries_) {
        if (entry.info.signo != signo) continue;
        if (first) {
            has_more = true;
            break;
        }
        first = &entry;
    }
    if (!has_more) set_ &= ~signal_bit(signo);
    if (!first) {
        // Its details found no memory when it was sent.
        info = SignalInfo{};
        info.signo = signo;
        info.code = kSiUser;
        return true;
    }
    info = first->info;
    entries_.erase(entries_.iterator_to(*first));
    queued_--;
    delete first;
    return true;
}

void PendingSignals::remove(SignalSet signals) {
    set_ &= ~signals;
    for (auto iterator = entries_.begin(); iterator != entries_.end();) {
        Entry& entry = *iterator;
        if (!(signals & signal_bit(entry.info.signo))) {
            ++iterator;
            continue;
        }
        iterator = entries_.erase(iterator);
        queued_--;
        delete &entry;
    }
}

}  // namespace coracle
