#include "libposix/process/futex.h"

#include <boost/intrusive/list.hpp>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

// A private word is named by its address space; those in shared memory will be named by their
// frame once two processes can meet there.
struct Key {
    const AddressSpace* space;
    uint64_t address;
    bool operator==(const Key&) const = default;
};

struct Waiter : boost::intrusive::list_base_hook<
                    boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Key key;
    uint32_t bits;
    Thread* thread = current_thread();
    bool is_woken = false;
};

using WaiterList = boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>>;
constexpr unsigned kBucketBits = 8;
WaiterList buckets[1 << kBucketBits];

WaiterList& bucket_of(const Key& key) {
    constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
    const uint64_t mixed = (key.address ^ reinterpret_cast<uint64_t>(key.space)) * kGoldenRatio;
    WaiterList& bucket = buckets[mixed >> (64 - kBucketBits)];
    return bucket;
}

Result<Key> key_of(uint64_t word) {
    if (word % sizeof(uint32_t) != 0) return Error(EINVAL);
    if (!is_user_range(word, sizeof(uint32_t))) return Error(EFAULT);
    return Key{current_process()->address_space.get(), word};
}

void wake(Waiter& waiter) {
    waiter.is_woken = true;
    waiter.unlink();
    coracle::wake(*waiter.thread);
}

}  // namespace

Result<void> futex_wait(uint64_t word, uint32_t value, uint32_t bits, Deadline deadline) {
    if (bits == 0) return Error(EINVAL);
    Waiter waiter;
    waiter.key = TRY(key_of(word));
    waiter.bits = bits;
    bucket_of(waiter.key).push_back(waiter);
    if (TRY(UserIn<uint32_t>(word).read()) != value) return Error(EAGAIN);
    WaitQueue nobody;
    return wait_until(nobody, deadline, [&] { return waiter.is_woken; });
}

Result<long> futex_wake(uint64_t word, uint32_t count, uint32_t bits) {
    if (bits == 0) return Error(EINVAL);
    const Key key = TRY(key_of(word));
    WaiterList& bucket = bucket_of(key);
    long woken = 0;
    for (auto iterator = bucket.begin(); iterator != bucket.end() && woken < count;) {
        Waiter& waiter = *iterator++;
        if (waiter.key != key || !(waiter.bits & bits)) continue;
        wake(waiter);
        woken++;
    }
    return woken;
}

Result<long> futex_requeue(uint64_t word, uint32_t wake_count, uint64_t target,
                           uint32_t requeue_count) {
    const Key key = TRY(key_of(word));
    const Key target_key = TRY(key_of(target));
    WaiterList& bucket = bucket_of(key);
    uint32_t woken = 0, moved = 0;
    for (auto iterator = bucket.begin(); iterator != bucket.end();) {
        Waiter& waiter = *iterator++;
        if (waiter.key != key) continue;
        if (woken < wake_count) {
            wake(waiter);
            woken++;
        } else if (moved < requeue_count) {
            waiter.unlink();
            waiter.key = target_key;
            bucket_of(target_key).push_back(waiter);
            moved++;
        } else {
            break;
        }
    }
    return woken + moved;
}

}  // namespace coracle
