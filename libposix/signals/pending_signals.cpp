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

uint64_t place_count;

}  // namespace

QueuedSignal::QueuedSignal(const SignalInfo& info_in) : info(info_in) { place_count++; }
QueuedSignal::~QueuedSignal() { place_count--; }
uint64_t queued_signal_count() { return place_count; }

Result<void> TimerSignal::reserve(uint64_t queue_limit) {
    if (place_count >= queue_limit) return Error(EAGAIN);
    place_ = new (std::nothrow) QueuedSignal(SignalInfo{});
    if (!place_) return Error(EAGAIN);
    place_->owner = this;
    return {};
}

TimerSignal::~TimerSignal() {
    if (is_queued()) {
        place_->owner = nullptr;
    } else {
        delete place_;
    }
}

PendingSignals::AddOutcome PendingSignals::add(const SignalInfo& info, uint64_t queue_limit) {
    if (is_standard(info.signo) && (set_ & signal_bit(info.signo))) {
        return AddOutcome::kAlreadyPending;
    }
    const bool is_unlimited = is_standard(info.signo) && info.code >= 0;
    QueuedSignal* place = nullptr;
    if (is_unlimited || place_count < queue_limit) place = new (std::nothrow) QueuedSignal(info);
    if (place) {
        queue_.push_back(*place);
    } else if (!is_standard(info.signo) && info.code != kSiUser) {
        return AddOutcome::kQueueFull;
    }
    set_ |= signal_bit(info.signo);
    return AddOutcome::kAdded;
}

void PendingSignals::add(TimerSignal& signal) {
    queue_.push_back(*signal.place_);
    set_ |= signal_bit(signal.info().signo);
}

bool PendingSignals::take(SignalSet allowed, SignalInfo& info) {
    SignalSet candidates = set_ & allowed;
    if (!candidates) return false;
    if (candidates & kFaultSignals) candidates &= kFaultSignals;
    const int signo = std::countr_zero(candidates) + 1;

    QueuedSignal* first = nullptr;
    bool has_more = false;
    for (QueuedSignal& place : queue_) {
        if (place.info.signo != signo) continue;
        if (first) {
            has_more = true;
            break;
        }
        first = &place;
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
    queue_.erase(queue_.iterator_to(*first));
    if (first->owner) first->owner->on_taken(info);
    release(*first);
    return true;
}

void PendingSignals::remove(SignalSet signals) {
    set_ &= ~signals;
    for (auto iterator = queue_.begin(); iterator != queue_.end();) {
        QueuedSignal& place = *iterator;
        if (!(signals & signal_bit(place.info.signo))) {
            ++iterator;
            continue;
        }
        iterator = queue_.erase(iterator);
        release(place);
    }
}

void PendingSignals::release(QueuedSignal& place) {
    if (!place.owner) delete &place;
}

}  // namespace coracle
