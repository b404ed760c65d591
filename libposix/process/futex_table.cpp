#include "libposix/process/futex_table.h"

namespace coracle {

void FutexTable::insert(Bucket& bucket, FutexWaiter& waiter) {
    auto place = bucket.end();
    while (place != bucket.begin()) {
        auto before = place;
        if ((--before)->rank <= waiter.rank) break;
        place = before;
    }
    bucket.insert(place, waiter);
}

int FutexTable::wake(const FutexKey& key, uint32_t count, uint32_t bits) {
    Bucket& bucket = bucket_of(key);
    uint32_t woken = 0;
    for (auto next = bucket.begin(); next != bucket.end() && woken < count;) {
        FutexWaiter& waiter = *next++;
        if (waiter.key != key) continue;
        if (waiter.kind != FutexWaiter::Kind::kPlain) return -1;
        if (!(waiter.bits & bits)) continue;
        wake(waiter);
        woken++;
    }
    return static_cast<int>(woken);
}

int FutexTable::requeue(const FutexKey& key, uint32_t wake_count, const FutexKey& target,
                        uint32_t move_count) {
    Bucket& bucket = bucket_of(key);
    uint32_t woken = 0, moved = 0;
    // To its own bucket's end it may move only once: it stops at the last of those that are there.
    FutexWaiter* last = bucket.empty() ? nullptr : &bucket.back();
    for (auto next = bucket.begin(); next != bucket.end();) {
        FutexWaiter& waiter = *next++;
        const bool is_last = &waiter == last;
        if (waiter.key == key) {
            if (waiter.kind != FutexWaiter::Kind::kPlain) return -1;
            if (woken < wake_count) {
                wake(waiter);
                woken++;
            } else if (moved < move_count) {
                moved++;
                if (key != target) move(waiter, target);
            } else {
                break;
            }
        }
        if (is_last) break;
    }
    return static_cast<int>(woken + moved);
}

FutexWaiter* FutexTable::first(const FutexKey& key) {
    for (FutexWaiter& waiter : bucket_of(key)) {
        if (waiter.key == key) return &waiter;
    }
    return nullptr;
}

}  // namespace coracle
