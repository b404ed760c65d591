#include "libposix/net/ip/reassembly.h"

#include <algorithm>

#include "kernel-min/devices/clock_source.h"
#include "kernel-min/sched/timer_queue.h"
#include "libposix/net/counters.h"
#include "libposix/net/ip/icmp.h"
#include "libposix/net/ip/ip_header.h"

namespace coracle::net {

namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;
constexpr uint64_t kTimeoutV4Ns = 30 * kSecondNs, kTimeoutV6Ns = 60 * kSecondNs;
// Fragments that carry less than this would let a datagram be a list of thousands.
constexpr size_t kMaxFragments = 128;

struct FragmentPlace {
    uint32_t start, end;
};

struct Reassembly {
    bool is_used = false;
    uint32_t identification = 0;
    IpInput how{};  // of the first fragment once it is there
    bool has_first = false;
    uint32_t total = 0;  // 0: the last fragment has not come
    uint32_t received = 0;
    size_t memory = 0;
    size_t count = 0;
    uint32_t largest = 0;  // fragment, with its headers
    uint64_t deadline_ns = 0;
    uint8_t congestion = 0;  // the ECN bits' sum (RFC 3168, 5.3)
    BufferQueue fragments;   // by offset

    void drop(IpCounters& counted);
};
Reassembly table[kMaxReassemblies];
size_t memory_in_use;

void expire(void*);
Timer timer(expire, nullptr);

void Reassembly::drop(IpCounters& counted) {
    counted.reassembly_failed++;
    fragments.clear();
    memory_in_use -= memory;
    memory = 0;
    is_used = false;
}

void start_timer() {
    uint64_t earliest = UINT64_MAX;
    for (const Reassembly& one : table) {
        if (one.is_used && one.deadline_ns < earliest) earliest = one.deadline_ns;
    }
    if (earliest == UINT64_MAX) {
        timer.cancel();
    } else if (!timer.is_active() || timer.deadline_ns() > earliest) {
        timer.start(earliest);
    }
}

void expire(void*) {
    uint64_t now = monotonic_ns();
    for (Reassembly& one : table) {
        if (!one.is_used || one.deadline_ns > now) continue;
        IpCounters& counted = ip_counters(one.how.source.is_v4());
        counted.reassembly_timeouts++;
        BufferPtr first = one.has_first ? one.fragments.pop_front() : nullptr;
        IpInput how = one.how;
        one.drop(counted);
        if (first) send_reassembly_timeout(std::move(first), how);
    }
    start_timer();
}

bool matches(const Reassembly& one, const IpInput& how, const FragmentInfo& fragment) {
    return one.is_used && one.identification == fragment.identification &&
           one.how.source == how.source && one.how.destination == how.destination &&
           (how.source.is_v6() || one.how.protocol == how.protocol);
}

Reassembly& find_or_create(const IpInput& how, const FragmentInfo& fragment, IpCounters& counted) {
    Reassembly* place = nullptr;
    for (Reassembly& one : table) {
        if (matches(one, how, fragment)) return one;
        // A free place, else the one that gives up first.
        if (!place || (place->is_used && (!one.is_used || one.deadline_ns < place->deadline_ns))) {
            place = &one;
        }
    }
    if (place->is_used) place->drop(counted);
    place->is_used = true;
    place->identification = fragment.identification;
    place->how = how;
    place->has_first = false;
    place->total = place->received = 0;
    place->count = 0;
    place->congestion = 0;
    place->largest = 0;
    place->deadline_ns = monotonic_ns() + (how.source.is_v4() ? kTimeoutV4Ns : kTimeoutV6Ns);
    return *place;
}

void make_room(const Reassembly& kept, IpCounters& counted) {
    while (memory_in_use > kMaxReassemblyMemory) {
        Reassembly* oldest = nullptr;
        for (Reassembly& one : table) {
            if (one.is_used && &one != &kept && (!oldest || one.deadline_ns < oldest->deadline_ns))
                oldest = &one;
        }
        if (!oldest) return;
        oldest->drop(counted);
    }
}

enum class Insertion { kDone, kDuplicate, kOverlap };

Insertion insert(Reassembly& to, BufferPtr packet, FragmentPlace place) {
    Buffer* before = nullptr;
    for (Buffer* other = to.fragments.first(); other; other = BufferQueue::after(other)) {
        FragmentPlace taken = other->control<FragmentPlace>();
        if (taken.start == place.start && taken.end == place.end) return Insertion::kDuplicate;
        if (taken.start < place.end && place.start < taken.end) return Insertion::kOverlap;
        if (taken.start < place.start) before = other;
    }
    packet->control<FragmentPlace>() = place;
    size_t size = packet->chain_memory_size();
    to.memory += size;
    memory_in_use += size;
    to.received += place.end - place.start;
    to.count++;
    to.fragments.insert_after(before, std::move(packet));
    return Insertion::kDone;
}

BufferPtr join(Reassembly& from) {
    BufferPtr whole = from.fragments.pop_front();
    Buffer* last = whole->last();
    while (BufferPtr fragment = from.fragments.pop_front()) {
        Buffer* next_last = fragment->last();
        last->set_next(std::move(fragment));
        last = next_last;
    }
    whole->info.checksum = ChecksumState::kUnknown;
    memory_in_use -= from.memory;
    from.memory = 0;
    from.is_used = false;
    return whole;
}

}  // namespace

size_t reassembly_memory() {
    return memory_in_use;
}

void clear_reassembly() {
    for (Reassembly& one : table) {
        if (one.is_used) one.drop(ip_counters(true));
    }
    timer.cancel();
}

BufferPtr reassemble(BufferPtr packet, IpInput& how, const FragmentInfo& fragment) {
    IpCounters& counted = ip_counters(how.source.is_v4());
    counted.reassembly_required++;
    auto length = static_cast<uint32_t>(packet->chain_length());
    FragmentPlace place{fragment.offset, fragment.offset + length};
    // All but the last carry a multiple of 8 bytes, and the whole fits an IP packet.
    if (length == 0 || (fragment.has_more && length % 8 != 0) ||
        place.end + (how.source.is_v4() ? how.header_length : 0) > kMaxIpPacket) {
        counted.reassembly_failed++;
        return nullptr;
    }
    Reassembly& datagram = find_or_create(how, fragment, counted);
    bool ends_elsewhere = !fragment.has_more && datagram.total && datagram.total != place.end;
    bool is_beyond = datagram.total && place.end > datagram.total;
    Insertion inserted = ends_elsewhere || is_beyond || datagram.count >= kMaxFragments
                             ? Insertion::kOverlap
                             : insert(datagram, std::move(packet), place);
    if (inserted == Insertion::kDuplicate) return nullptr;
    if (inserted == Insertion::kOverlap) {
        datagram.drop(counted);
        start_timer();
        return nullptr;
    }
    if (!fragment.has_more) {
        Buffer* last = datagram.fragments.last();
        if (last->control<FragmentPlace>().end > place.end) {
            datagram.drop(counted);
            start_timer();
            return nullptr;
        }
        datagram.total = place.end;
    }
    datagram.largest = std::max(datagram.largest, how.header_length + length);
    datagram.congestion = static_cast<uint8_t>(datagram.congestion | (how.traffic_class & 3));
    if (fragment.offset == 0) {
        datagram.how = how;
        datagram.has_first = true;
    }
    if (datagram.total == 0 || datagram.received != datagram.total) {
        make_room(datagram, counted);
        start_timer();
        return nullptr;
    }
    how = datagram.how;
    how.largest_fragment = datagram.largest;
    how.traffic_class = static_cast<uint8_t>(how.traffic_class | datagram.congestion);
    counted.reassembly_ok++;
    BufferPtr whole = join(datagram);
    start_timer();
    return whole;
}

}  // namespace coracle::net
