#include "libposix/signals/pending_signals.h"

#include <bit>
#include <new>

namespace coracle {

// One entry for each user that has signals waiting; another user's once its count is 0.
struct SignalUser {
    SignalUser* next;
    uint32_t uid;
    uint64_t place_count;
};

namespace {

// Faults come before everything else, so that their handler sees the faulting instruction.
constexpr SignalSet kFaultSignals = signal_bit(kSigSegv) | signal_bit(kSigBus) |
                                    signal_bit(kSigIll) | signal_bit(kSigTrap) |
                                    signal_bit(kSigFpe) | signal_bit(kSigSys);

bool is_standard(int signo) { return signo < kSigRtMin; }

SignalUser* users;

SignalUser* find_user(uint32_t uid) {
    SignalUser* user = users;
    while (user && user->uid != uid) user = user->next;
    return user;
}

// Null: no memory.
SignalUser* find_or_make_user(uint32_t uid) {
    if (SignalUser* user = find_user(uid)) return user;
    SignalUser* user = users;
    while (user && user->place_count != 0) user = user->next;
    if (!user) {
        user = new (std::nothrow) SignalUser{users, uid, 0};
        if (user) users = user;
    }
    if (user) user->uid = uid;
    return user;
}

}  // namespace

QueuedSignal::QueuedSignal(const SignalInfo& info_in, SignalUser& user)
    : info(info_in), user_(user) {
    user_.place_count++;
}
QueuedSignal::~QueuedSignal() { user_.place_count--; }

QueuedSignal* QueuedSignal::make(const SignalInfo& info, SignalQuota quota, bool needs_room) {
    SignalUser* user = find_or_make_user(quota.uid);
    if (!user || (needs_room && user->place_count >= quota.limit)) return nullptr;
    return new (std::nothrow) QueuedSignal(info, *user);
}

uint64_t queued_signal_count(uint32_t uid) {
    const SignalUser* user = find_user(uid);
    return user ? user->place_count : 0;
}

Result<void> TimerSignal::reserve(SignalQuota quota) {
    place_ = QueuedSignal::make(SignalInfo{}, quota, true);
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

PendingSignals::AddOutcome PendingSignals::add(const SignalInfo& info, SignalQuota quota) {
    if (is_standard(info.signo) && (set_ & signal_bit(info.signo))) {
        return AddOutcome::kAlreadyPending;
    }
    const bool is_unlimited = is_standard(info.signo) && info.code >= 0;
    if (QueuedSignal* place = QueuedSignal::make(info, quota, !is_unlimited)) {
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
