// The waiters of all futexes, in buckets hashed by the word that they wait for. Pure logic: its
// test runs it on the host with real threads.
//
// Guarded by the kernel lock. No member function sleeps, so each is one step for everybody else.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

namespace coracle {

struct Thread;

constexpr uint32_t kFutexMatchAny = ~uint32_t{0};

// What names a word. Private ones: their address space and address. Shared ones: the object that is
// mapped and the offset into it, so that two mappings meet; or, in private memory, as private ones,
// but apart from them (Linux does not let FUTEX_PRIVATE_FLAG meet its absence either).
struct FutexKey {
    enum Kind : uint64_t { kPrivate = 0, kSharedAddress = 1, kObject = 2 };  // in the low bits
    const void* space = nullptr;
    uint64_t offset_and_kind = 0;

    FutexKey() = default;
    FutexKey(Kind kind, const void* where, uint64_t offset)
        : space(where), offset_and_kind(offset | kind) {}
    bool operator==(const FutexKey&) const = default;
};

// Lies in the waiting call's own frame, and leaves its bucket when it is destroyed.
struct FutexWaiter : boost::intrusive::list_base_hook<
                         boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    enum class Kind : uint8_t {
        kPlain,
        kForRequeue,  // FUTEX_WAIT_REQUEUE_PI: only FUTEX_CMP_REQUEUE_PI may touch it
        kLock,        // waits for a lock with priority inheritance (futex_pi.h)
    };

    FutexKey key;
    uint32_t bits = kFutexMatchAny;
    uint32_t rank = 0;  // of those that wait for a word, the lowest are woken first
    Kind kind = Kind::kPlain;
    bool is_woken = false;
    Thread* thread = nullptr;
};

// Called with a waiter that has left its bucket; may not sleep. Defined by the user of the table.
void notify(FutexWaiter& waiter);

class FutexTable {
  public:
    void add(FutexWaiter& waiter) { insert(bucket_of(waiter.key), waiter); }

    // Wakes up to `count` plain waiters whose bits meet `bits`, and tells how many. -1: one of them
    // is not plain; those before it are awake.
    int wake(const FutexKey& key, uint32_t count, uint32_t bits);

    // Wakes up to `wake_count` plain waiters and moves up to `move_count` others to `target`. Tells
    // how many were woken or moved, or -1 as wake().
    int requeue(const FutexKey& key, uint32_t wake_count, const FutexKey& target,
                uint32_t move_count);

    void wake(FutexWaiter& waiter) {
        waiter.is_woken = true;
        waiter.unlink();
        notify(waiter);
    }
    void move(FutexWaiter& waiter, const FutexKey& target) {
        waiter.unlink();
        waiter.key = target;
        add(waiter);
    }

    // Whether certainly nobody waits for the word.
    bool is_quiet(const FutexKey& key) { return bucket_of(key).empty(); }

    // The first waiter for this word; null if there is none.
    FutexWaiter* first(const FutexKey& key);

  private:
    using Bucket = boost::intrusive::list<FutexWaiter, boost::intrusive::constant_time_size<false>>;
    static constexpr unsigned kBucketBits = 10;

    Bucket& bucket_of(const FutexKey& key) {
        constexpr uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
        const uint64_t mixed =
            (key.offset_and_kind ^ reinterpret_cast<uint64_t>(key.space)) * kGoldenRatio;
        return buckets_[mixed >> (64 - kBucketBits)];
    }
    static void insert(Bucket& bucket, FutexWaiter& waiter);

    Bucket buckets_[1 << kBucketBits];
};

}  // namespace coracle
