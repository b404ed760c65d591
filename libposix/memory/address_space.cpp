#include "libposix/memory/address_space.h"

#include "kernel-min/core/gates.h"
#include "kernel-min/lib/random.h"
#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"

namespace coracle {

namespace {

constexpr uint64_t kLowestAddress = 0x10000;  // vm.mmap_min_addr
constexpr uint64_t kStackRandomPages = 1u << 22;
constexpr uint64_t kMmapRandomPages = 1u << 28;
constexpr uint64_t kMinimumStackGap = 128 << 20;
constexpr uint64_t kInitialStack = 132 * 1024;
// Beyond so many pages, one flush of everything costs less than single ones.
constexpr uint64_t kFlushAllFrom = 32 * kPageSize;

uint64_t page_up(uint64_t value) { return (value + kPageSize - 1) & ~(kPageSize - 1); }
uint64_t random_pages(uint64_t count) { return random_u64() % count * kPageSize; }

bool counts_as_data(const Region& region) {
    return !region.shared && (region.protection & PROT_WRITE) && !region.grows_down;
}

}  // namespace

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
    mmap_base_ = kUserEnd - page_up(gap) - kStackRandomPages * kPageSize -
                 random_pages(kMmapRandomPages);
}

AddressSpace::~AddressSpace() {
    drop_pages(0, kUserEnd);
    regions_.clear_and_dispose([](Region* region) { delete region; });
    table_.free_lower_half();
    put_frame(table_.root());
}

namespace {
AddressSpace* current_space;
}

void AddressSpace::activate() {
    current_space = this;
    core::load_page_table(table_.root());
}

bool AddressSpace::is_current() const { return current_space == this; }

void AddressSpace::flush(uint64_t address) {
    if (is_current()) core::flush_page(address);
}

void AddressSpace::flush_range(uint64_t start, uint64_t end) {
    if (!is_current()) return;
    if (end - start > kFlushAllFrom) return core::load_page_table(table_.root());
    for (; start < end; start += kPageSize) core::flush_page(start);
}

void AddressSpace::count_resident(int64_t pages) {
    resident_pages_ += static_cast<uint64_t>(pages);
    if (resident_pages_ > peak_resident_pages_) peak_resident_pages_ = resident_pages_;
}

Region* AddressSpace::find_at_or_after(uint64_t address) {
    auto it = regions_.upper_bound(address);
    if (it != regions_.begin()) {
        auto before = std::prev(it);
        if (before->end > address) return &*before;
    }
    return it == regions_.end() ? nullptr : &*it;
}

// The highest gap of `size` bytes that ends at or below `high`; 0 if there is none.
uint64_t AddressSpace::find_gap(uint64_t size, uint64_t low, uint64_t high) {
    auto it = regions_.lower_bound(high);
    uint64_t end = high;
    for (;;) {
        uint64_t start = low;
        bool first = it == regions_.begin();
        if (!first) {
            --it;
            // Linux keeps a guard gap of 256 pages below a stack.
            start = it->end > low ? it->end : low;
        }
        if (end > start && end - start >= size) return end - size;
        if (first || it->start <= low) return 0;
        uint64_t guard = it->grows_down ? 256 * kPageSize : 0;
        end = it->start > guard ? it->start - guard : 0;
        if (end > high) end = high;
    }
}

Result<uint64_t> AddressSpace::choose_address(const MapRequest& request, uint64_t size) {
    uint64_t hint = request.address;
    if (request.flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
        if (hint & (kPageSize - 1)) return Error(EINVAL);
        if (!is_user_range(hint, size)) return Error(ENOMEM);
        if (hint < kLowestAddress) return Error(EPERM);
        if (request.flags & MAP_FIXED_NOREPLACE) {
            Region* next = find_at_or_after(hint);
            if (next && next->start < hint + size) return Error(EEXIST);
        }
        return hint;
    }
    hint = page_up(hint);
    if (hint >= kLowestAddress && is_user_range(hint, size)) {
        Region* next = find_at_or_after(hint);
        if (!next || next->start >= hint + size) return hint;
    }
    uint64_t high = request.flags & MAP_32BIT ? 0x80000000 : mmap_base_;
    uint64_t low = request.flags & MAP_32BIT ? 0x40000000 : kLowestAddress;
    uint64_t found = find_gap(size, low, high);
    if (!found && high == mmap_base_) found = find_gap(size, low, kUserEnd);
    if (!found) return Error(ENOMEM);
    return found;
}

Result<void> AddressSpace::check_limits(const MapRequest& request, uint64_t size) {
    if (mapped_bytes_ + size > limits_.soft(Resource::kAddressSpace)) return Error(ENOMEM);
    bool private_writable =
        !(request.flags & MAP_SHARED) && (request.protection & PROT_WRITE);
    if (!private_writable) return {};
    if (data_bytes_ + size > limits_.soft(Resource::kData)) return Error(ENOMEM);
    // vm.overcommit_memory 0: only what is obviously too much is refused.
    if (!(request.flags & MAP_NORESERVE) && size / kPageSize > frame_statistics().total) {
        return Error(ENOMEM);
    }
    return {};
}

Result<uint64_t> AddressSpace::map(const MapRequest& request) {
    uint64_t size = page_up(request.size);
    if (size == 0 || size < request.size) return Error(size == 0 && !request.size ? EINVAL : ENOMEM);
    if (size > kUserEnd) return Error(ENOMEM);
    uint64_t start = TRY(choose_address(request, size));
    TRY(check_limits(request, size));
    if (request.flags & MAP_FIXED) TRY(unmap(start, size));
    TRY(add_region(request, start, start + size));
    return start;
}

Result<void> AddressSpace::add_region(const MapRequest& request, uint64_t start, uint64_t end) {
    auto* region = new (std::nothrow) Region;
    if (!region) return Error(ENOMEM);
    region->start = start;
    region->end = end;
    region->protection = request.protection & (PROT_READ | PROT_WRITE | PROT_EXEC);
    region->shared = (request.flags & MAP_SHARED) != 0;
    region->grows_down = (request.flags & MAP_GROWSDOWN) != 0;
    region->locked = (request.flags & MAP_LOCKED) != 0 || lock_future_;
    region->may_write = request.may_write;
    region->no_reserve = (request.flags & MAP_NORESERVE) != 0;
    region->object = request.object;
    region->offset = request.offset;
    region->name = request.name;
    regions_.insert(*region);
    mapped_bytes_ += region->size();
    if (mapped_bytes_ > peak_mapped_bytes_) peak_mapped_bytes_ = mapped_bytes_;
    if (counts_as_data(*region)) data_bytes_ += region->size();
    merge_around(start, end);
    return {};
}

// Cuts `region` in two at `at`; returns the upper part, or null without memory.
Region* AddressSpace::split(Region& region, uint64_t at) {
    auto* upper = new (std::nothrow) Region;
    if (!upper) return nullptr;
    upper->start = at;
    upper->end = region.end;
    upper->protection = region.protection;
    upper->shared = region.shared;
    upper->grows_down = region.grows_down;
    upper->locked = region.locked;
    upper->no_reserve = region.no_reserve;
    upper->no_huge_pages = region.no_huge_pages;
    upper->may_write = region.may_write;
    upper->name = region.name;
    upper->object = region.object;
    upper->offset = region.offset + (at - region.start);
    region.end = at;
    regions_.insert(*upper);
    return upper;
}

Result<void> AddressSpace::split_at_borders(uint64_t start, uint64_t end) {
    for (uint64_t border : {start, end}) {
        Region* region = find(border);
        if (region && region->start < border && !split(*region, border)) return Error(ENOMEM);
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

void AddressSpace::erase(Region& region) {
    mapped_bytes_ -= region.size();
    if (counts_as_data(region)) data_bytes_ -= region.size();
    drop_pages(region.start, region.end);
    regions_.erase(regions_.iterator_to(region));
    delete &region;
}

void AddressSpace::drop_pages(uint64_t start, uint64_t end) {
    uint64_t low = end, high = start;
    // Splitting a huge page can fail only at the borders of a range, where split_at_borders has
    // no say: then its part stays mapped until the rest goes.
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
        if (address < low) low = address;
        high = address + (is_huge ? kHugePageSize : kPageSize);
    });
    if (low < high) flush_range(low, high);
}

Result<void> AddressSpace::unmap(uint64_t address, uint64_t size) {
    uint64_t end = address + page_up(size);
    TRY(split_at_borders(address, end));
    while (Region* region = find_at_or_after(address)) {
        if (region->start >= end) break;
        erase(*region);
    }
    return {};
}

void AddressSpace::discard(uint64_t address, uint64_t size) {
    drop_pages(address, address + page_up(size));
}

bool AddressSpace::is_fully_mapped(uint64_t start, uint64_t end) {
    while (start < end) {
        Region* region = find(start);
        if (!region) return false;
        start = region->end;
    }
    return true;
}

uint64_t AddressSpace::protection_flags(const Region& region, bool writable) const {
    uint64_t flags = pte::kUser | pte::kAccessed;
    if (region.protection != PROT_NONE) flags |= pte::kPresent;
    if (writable && (region.protection & PROT_WRITE)) flags |= pte::kWritable | pte::kDirty;
    if (!(region.protection & PROT_EXEC)) flags |= pte::kNoExecute;
    return flags;
}

// Entries keep their frames. A page that may be written becomes writable at once if nobody shares
// it; else the write fault decides.
void AddressSpace::apply_protection(Region& region) {
    bool changed = false;
    (void)table_.for_each(region.start, region.end,
                          [&](uint64_t, uint64_t* entry, bool is_huge) {
                              PhysAddr frame = pte::address(*entry);
                              bool own = !region.shared && is_frame_exclusive(frame);
                              bool writable = own || (*entry & pte::kWritable);
                              *entry = frame | protection_flags(region, writable) |
                                       (is_huge ? pte::kHuge : 0);
                              changed = true;
                          });
    if (changed) flush_range(region.start, region.end);
}

Result<void> AddressSpace::protect(uint64_t address, uint64_t size, int protection) {
    uint64_t end = address + page_up(size);
    if (!is_fully_mapped(address, end)) return Error(ENOMEM);
    TRY(split_at_borders(address, end));
    for (Region* region = find(address); region && region->start < end;
         region = find_at_or_after(region->end)) {
        if (region->protection == protection) continue;
        if (counts_as_data(*region)) data_bytes_ -= region->size();
        region->protection = protection;
        if (counts_as_data(*region)) data_bytes_ += region->size();
        apply_protection(*region);
    }
    merge_around(address, end);
    return {};
}

void AddressSpace::set_break(uint64_t start) { break_start_ = break_end_ = page_up(start); }

uint64_t AddressSpace::change_break(uint64_t to) {
    if (to < break_start_) return break_end_;
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
