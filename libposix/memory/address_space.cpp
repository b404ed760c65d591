#include "libposix/memory/address_space.h"

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/tlb.h"

namespace coracle {

namespace {

// Linux's arch_mmap_rnd and STACK_RND_MASK for 64-bit programs.
constexpr uint64_t kMmapRandomPages = 1u << 28;
constexpr uint64_t kStackRandomPages = 1u << 22;
constexpr uint64_t kMinimumStackGap = 128 << 20;
constexpr uint64_t kInitialStack = 132 * 1024;

uint64_t random_pages(uint64_t count) {
    return random_u64() % count * kPageSize;
}

AddressSpace::List spaces;

}  // namespace

AddressSpace::List& AddressSpace::all() {
    return spaces;
}

Result<RefPtr<AddressSpace>> AddressSpace::create(const ResourceLimits& limits) {
    PhysAddr root = TRY(create_page_table_root());
    auto* space = new (std::nothrow) AddressSpace(root, limits);
    if (!space) {
        put_frame(root);
        return Error(ENOMEM);
    }
    return adopt_ref(space);
}

AddressSpace::AddressSpace(PhysAddr root, const ResourceLimits& limits)
    : table_(root), limits_(limits) {
    uint64_t gap = limits.soft(Resource::kStack);
    if (gap < kMinimumStackGap) gap = kMinimumStackGap;
    if (gap > kUserEnd / 6 * 5) gap = kUserEnd / 6 * 5;
    mmap_base_ =
        kUserEnd - page_up(gap) - kStackRandomPages * kPageSize - random_pages(kMmapRandomPages);
    search_top_ = mmap_base_;
    spaces.push_back(*this);
}

AddressSpace::~AddressSpace() {
    StaleRange stale;
    drop_pages(0, kUserEnd, stale);
    regions_.clear_and_dispose([](Region* region) { delete region; });
    table_.free_lower_half();
    put_frame(table_.root());
}

void AddressSpace::activate() {
    use_page_table(table_.root());
}

void AddressSpace::flush(const StaleRange& stale) {
    if (stale.start < stale.end) flush_tlb(table_.root(), stale.start, stale.end);
}

void AddressSpace::count_resident(int64_t pages) {
    resident_pages_ += static_cast<uint64_t>(pages);
    if (resident_pages_ > peak_resident_pages_) peak_resident_pages_ = resident_pages_;
}

uint64_t AddressSpace::locked_bytes() const {
    uint64_t bytes = 0;
    for (const Region& region : regions_) {
        if (region.locked) bytes += region.size();
    }
    return bytes;
}

Region* AddressSpace::find_at_or_after(uint64_t address) {
    auto it = regions_.upper_bound(address);
    if (it != regions_.begin()) {
        auto before = std::prev(it);
        if (before->end > address) return &*before;
    }
    return it == regions_.end() ? nullptr : &*it;
}

bool AddressSpace::is_fully_mapped(uint64_t start, uint64_t end) {
    while (start < end) {
        Region* region = find(start);
        if (!region) return false;
        start = region->end;
    }
    return true;
}

Result<void> AddressSpace::check_limits(const MapRequest& request, uint64_t start, uint64_t size) {
    // What MAP_FIXED replaces does not count twice.
    uint64_t replaced = 0;
    uint64_t limit = limits_.soft(Resource::kAddressSpace);
    if (mapped_bytes_ + size > limit && (request.flags & MAP_FIXED)) {
        for (Region* region = find_at_or_after(start); region && region->start < start + size;
             region = find_at_or_after(region->end)) {
            uint64_t low = region->start > start ? region->start : start;
            uint64_t high = region->end < start + size ? region->end : start + size;
            replaced += high - low;
        }
    }
    if (mapped_bytes_ + size - replaced > limit) return Error(ENOMEM);
    if (regions_.size() >= kMaxRegions) return Error(ENOMEM);
    bool private_writable = !(request.flags & MAP_SHARED) && (request.protection & PROT_WRITE);
    if (private_writable && data_bytes_ + size > limits_.soft(Resource::kData)) {
        return Error(ENOMEM);
    }
    // vm.overcommit_memory 0: only what is obviously too much is refused.
    bool is_charged = private_writable || ((request.flags & MAP_SHARED) && !request.object);
    if (is_charged && !(request.flags & MAP_NORESERVE) &&
        size / kPageSize > frame_statistics().total) {
        return Error(ENOMEM);
    }
    return {};
}

Result<uint64_t> AddressSpace::map(const MapRequest& request) {
    uint64_t size = page_up(request.size);
    if (request.size == 0) return Error(EINVAL);
    if (size == 0 || size > kUserEnd) return Error(ENOMEM);
    uint64_t start = TRY(choose_address(request, size));
    TRY(check_limits(request, start, size));
    if (request.flags & MAP_FIXED) TRY(unmap(start, size));
    RegionAttributes attributes;
    attributes.protection = request.protection & (PROT_READ | PROT_WRITE | PROT_EXEC);
    attributes.shared = (request.flags & MAP_SHARED) != 0;
    attributes.may_write = request.may_write;
    attributes.grows_down = (request.flags & MAP_GROWSDOWN) != 0;
    attributes.locked = (request.flags & MAP_LOCKED) || lock_future;
    attributes.lock_on_fault = lock_future && lock_future_on_fault;
    attributes.no_reserve = (request.flags & MAP_NORESERVE) != 0;
    attributes.name = request.name;
    TRY(insert_region(attributes, request.object, request.offset, start, size));
    return start;
}

Result<void> AddressSpace::insert_region(const RegionAttributes& attributes,
                                         const RefPtr<MemoryObject>& object, uint64_t offset,
                                         uint64_t start, uint64_t size) {
    auto* region = new (std::nothrow) Region;
    if (!region) return Error(ENOMEM);
    static_cast<RegionAttributes&>(*region) = attributes;
    region->start = start;
    region->end = start + size;
    region->object = object;
    region->offset = offset;
    regions_.insert(*region);
    mapped_bytes_ += size;
    if (mapped_bytes_ > peak_mapped_bytes_) peak_mapped_bytes_ = mapped_bytes_;
    if (region->counts_as_data()) data_bytes_ += size;
    merge_around(start, start + size);
    return {};
}

// Cuts `region` in two at `at`; returns the upper part, or null without memory.
Region* AddressSpace::split(Region& region, uint64_t at) {
    if (regions_.size() >= kMaxRegions) return nullptr;
    auto* upper = new (std::nothrow) Region;
    if (!upper) return nullptr;
    static_cast<RegionAttributes&>(*upper) = region.attributes();
    upper->start = at;
    upper->end = region.end;
    upper->object = region.object;
    upper->offset = region.object_offset(at);
    region.end = at;
    regions_.insert(*upper);
    return upper;
}

Result<void> AddressSpace::split_at_borders(uint64_t start, uint64_t end) {
    Region* region = find_at_or_after(start);
    if (!region || region->start >= end) return {};
    if (region->start < start) {
        TRY(table_.split_at(start));
        region = split(*region, start);
        if (!region) return Error(ENOMEM);
    }
    if (region->end < end) region = find(end);
    if (region && region->start < end && region->end > end) {
        TRY(table_.split_at(end));
        if (!split(*region, end)) return Error(ENOMEM);
    }
    return {};
}

void AddressSpace::merge_around(uint64_t start, uint64_t end) {
    auto it = regions_.lower_bound(start);
    if (it != regions_.begin()) --it;
    while (it != regions_.end() && it->start <= end) {
        auto next = std::next(it);
        if (next == regions_.end() || !it->can_absorb(*next)) {
            it = next;
            continue;
        }
        it->end = next->end;
        regions_.erase_and_dispose(next, [](Region* region) { delete region; });
    }
}

void AddressSpace::drop_pages(uint64_t start, uint64_t end, StaleRange& stale) {
    // Frames may go before the flush: nothing else runs or allocates until then.
    (void)table_.for_each(start, end, [&](uint64_t address, uint64_t* entry, bool is_huge) {
        uint64_t old = *entry;
        *entry = 0;
        if (is_huge) {
            put_frames(pte::address(old), kHugePageOrder);
            count_resident(-512);
        } else {
            put_frame(pte::address(old));
            count_resident(-1);
        }
        if (old & pte::kPresent)
            stale.add(address, address + (is_huge ? kHugePageSize : kPageSize));
    });
}

Result<void> AddressSpace::unmap(uint64_t start, uint64_t size) {
    uint64_t end = start + page_up(size);
    TRY(split_at_borders(start, end));
    auto it = regions_.lower_bound(start);
    if (it == regions_.end() || it->start >= end) return {};
    StaleRange stale;
    while (it != regions_.end() && it->start < end) {
        mapped_bytes_ -= it->size();
        if (it->counts_as_data()) data_bytes_ -= it->size();
        drop_pages(it->start, it->end, stale);
        it = regions_.erase_and_dispose(it, [](Region* region) { delete region; });
    }
    uint64_t gap_end = it == regions_.end() ? kUserEnd : it->start;
    uint64_t gap_start = it == regions_.begin() ? 0 : std::prev(it)->end;
    if (search_top_ < gap_end) search_top_ = gap_end < mmap_base_ ? gap_end : mmap_base_;
    // Tables that nothing needs any more: the next mapping here may want huge pages.
    uint64_t low =
        gap_start > start - start % kHugePageSize ? gap_start : start - start % kHugePageSize;
    uint64_t high = (end + kHugePageSize - 1) / kHugePageSize * kHugePageSize;
    if (table_.free_leaf_tables(low, gap_end < high ? gap_end : high)) stale.add(start, end);
    flush(stale);
    return {};
}

Result<void> AddressSpace::discard(uint64_t start, uint64_t end) {
    TRY(table_.split_at(start));
    TRY(table_.split_at(end));
    StaleRange stale;
    drop_pages(start, end, stale);
    flush(stale);
    return {};
}

Result<void> AddressSpace::drop_object_pages(const void* identity, uint64_t first, uint64_t end,
                                             bool keep_copies) {
    StaleRange stale;
    for (Region& region : regions_) {
        if (!region.object || region.object->identity() != identity) continue;
        uint64_t region_first = region.object_index(region.start);
        uint64_t region_end = region_first + region.size() / kPageSize;
        if (region_first >= end || region_end <= first) continue;
        uint64_t low = first > region_first ? first - region_first : 0;
        uint64_t high = (end < region_end ? end : region_end) - region_first;
        uint64_t from = region.start + low * kPageSize, to = region.start + high * kPageSize;
        TRY(table_.split_at(from));
        TRY(table_.split_at(to));
        for (uint64_t at = table_.skip_empty(from, to); at < to;
             at = table_.skip_empty(at + kPageSize, to)) {
            uint64_t* entry = table_.find(at);
            bool is_copy = entry && !region.shared && is_frame_exclusive(pte::address(*entry));
            if (entry && !(keep_copies && is_copy)) drop_pages(at, at + kPageSize, stale);
        }
    }
    flush(stale);
    return {};
}

void AddressSpace::set_break(uint64_t start) {
    break_start_ = break_end_ = page_up(start);
}

uint64_t AddressSpace::change_break(uint64_t to) {
    if (to < break_start_ || to > kUserEnd) return break_end_;
    uint64_t old_end = page_up(break_end_), new_end = page_up(to);
    if (new_end < old_end) {
        if (!unmap(new_end, old_end - new_end)) return break_end_;
    } else if (new_end > old_end) {
        if (to - break_start_ > limits_.soft(Resource::kData)) return break_end_;
        auto mapped = map({.address = old_end,
                           .size = new_end - old_end,
                           .protection = PROT_READ | PROT_WRITE,
                           .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                           .name = "[heap]"});
        if (!mapped) return break_end_;
        if (lock_future && !lock_future_on_fault) (void)populate_regions(old_end, new_end);
    }
    break_end_ = to;
    return to;
}

Result<uint64_t> AddressSpace::map_stack(bool executable) {
    uint64_t top = kUserEnd - random_pages(kStackRandomPages);
    TRY(map({.address = top - kInitialStack,
             .size = kInitialStack,
             .protection = PROT_READ | PROT_WRITE | (executable ? PROT_EXEC : 0),
             .flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
             .name = "[stack]"}));
    return top;
}

}  // namespace coracle
