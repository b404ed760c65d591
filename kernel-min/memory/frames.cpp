// Buddy allocator. Memory is handed to the free lists chunk by chunk (one largest block at a
// time), so that boot does not pay for memory that nobody uses.
#include "kernel-min/memory/frames.h"

#include <cstring>

#include "kernel-min/lib/panic.h"

namespace coracle {

namespace {

constexpr size_t kChunkFrames = 1u << kMaxFrameOrder;
constexpr size_t kMaxRanges = 64;

struct Frame {
    uint32_t references;
    uint8_t order;  // of the free block that starts here
    bool is_free;   // the first frame of a free block
};

// Lies in the first bytes of a free block.
struct FreeBlock {
    FreeBlock* next;
    FreeBlock** previous;  // the pointer that points here
};

Frame* frames;  // by frame number, up to frame_count
size_t frame_count;
size_t next_chunk;  // chunks below it were handed out
FreeBlock* free_lists[kMaxFrameOrder + 1];
// Single frames that were freed last: used again before the free lists are, and still in the
// CPU's caches. Free, but in no list.
uint32_t recent_frames[64];
size_t recent_count;
size_t free_count, total_count;
MemoryRange usable_ranges[kMaxRanges];  // less what is reserved, ascending
size_t usable_range_count;

size_t frame_number(PhysAddr address) {
    return address / kPageSize;
}

void push_free(size_t number, unsigned order) {
    auto* block = phys_to_virt<FreeBlock>(number * kPageSize);
    FreeBlock** head = &free_lists[order];
    block->next = *head;
    block->previous = head;
    if (block->next) block->next->previous = &block->next;
    *head = block;
    frames[number] = {.references = 0, .order = static_cast<uint8_t>(order), .is_free = true};
}

void remove_free(size_t number) {
    auto* block = phys_to_virt<FreeBlock>(number * kPageSize);
    *block->previous = block->next;
    if (block->next) block->next->previous = block->previous;
    frames[number].is_free = false;
}

void release(size_t number, unsigned order) {
    while (order < kMaxFrameOrder) {
        size_t buddy = number ^ (size_t{1} << order);
        if (buddy >= frame_count || !frames[buddy].is_free || frames[buddy].order != order) break;
        remove_free(buddy);
        number &= ~(size_t{1} << order);
        order++;
    }
    push_free(number, order);
}

void release_recent_frames() {
    while (recent_count > 0) release(recent_frames[--recent_count], 0);
}

// Cuts [start, end) frames into the largest aligned blocks.
void release_range(size_t start, size_t end) {
    while (start < end) {
        unsigned order = start == 0 ? kMaxFrameOrder : static_cast<unsigned>(__builtin_ctzl(start));
        if (order > kMaxFrameOrder) order = kMaxFrameOrder;
        while ((size_t{1} << order) > end - start) order--;
        push_free(start, order);
        start += size_t{1} << order;
    }
}

// Brings the next chunk into the free lists. False when there is none left.
bool open_chunk() {
    while (next_chunk * kChunkFrames < frame_count) {
        size_t start = next_chunk++ * kChunkFrames;
        size_t end = start + kChunkFrames < frame_count ? start + kChunkFrames : frame_count;
        bool any = false;
        for (size_t i = 0; i < usable_range_count; i++) {
            size_t low = frame_number(usable_ranges[i].start);
            size_t high = frame_number(usable_ranges[i].end);
            if (low < start) low = start;
            if (high > end) high = end;
            if (low >= high) continue;
            if (!any) memset(&frames[start], 0, (end - start) * sizeof(Frame));
            any = true;
            release_range(low, high);
        }
        if (any) return true;
    }
    return false;
}

// Frames that the allocator never owned: the kernel image, the boot module. Not counted.
bool is_counted(size_t number) {
    if (number >= next_chunk * kChunkFrames || number >= frame_count) return false;
    return frames[number].references != 0;
}

void add_usable(PhysAddr start, PhysAddr end) {
    if (start >= end || usable_range_count == kMaxRanges) return;
    usable_ranges[usable_range_count++] = {start, end};
    total_count += (end - start) / kPageSize;
}

// Splits usable memory around what is reserved.
void add_usable_around(MemoryRange range, const MemoryRange* reserved, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const MemoryRange& hole = reserved[i];
        if (hole.end <= range.start || hole.start >= range.end) continue;
        if (hole.start > range.start) {
            add_usable_around({range.start, hole.start}, reserved + i + 1, count - i - 1);
        }
        range.start = hole.end;
        if (range.start >= range.end) return;
    }
    add_usable(range.start, range.end);
}

// The frame array, from the end of a usable range that the boot-time direct map covers.
void place_frame_array() {
    size_t bytes = (frame_count * sizeof(Frame) + kPageSize - 1) & ~(kPageSize - 1);
    for (size_t i = usable_range_count; i-- > 0;) {
        MemoryRange& range = usable_ranges[i];
        if (range.end > 0x100000000 || range.end - range.start < bytes) continue;
        range.end -= bytes;
        total_count -= bytes / kPageSize;
        frames = phys_to_virt<Frame>(range.end);
        return;
    }
    refuse_machine("not enough memory: give a larger -m");
}

}  // namespace

void init_frames(const MemoryRange* usable, size_t usable_count, const MemoryRange* reserved,
                 size_t reserved_count) {
    for (size_t i = 0; i < usable_count; i++) {
        add_usable_around(usable[i], reserved, reserved_count);
        if (frame_number(usable[i].end) > frame_count) frame_count = frame_number(usable[i].end);
    }
    place_frame_array();
    free_count = total_count;
}

Result<PhysAddr> allocate_frames(unsigned order) {
    ASSERT(order <= kMaxFrameOrder);
    if (order == 0 && recent_count > 0) {
        size_t number = recent_frames[--recent_count];
        frames[number] = {.references = 1, .order = 0, .is_free = false};
        free_count--;
        return number * kPageSize;
    }
    for (;;) {
        for (unsigned found = order; found <= kMaxFrameOrder; found++) {
            if (!free_lists[found]) continue;
            size_t number = frame_number(direct_to_phys(free_lists[found]));
            remove_free(number);
            while (found > order) {
                found--;
                push_free(number + (size_t{1} << found), found);
            }
            for (size_t i = 0; i < size_t{1} << order; i++) {
                frames[number + i] = {.references = 1, .order = 0, .is_free = false};
            }
            frames[number].order = static_cast<uint8_t>(order);
            free_count -= size_t{1} << order;
            return number * kPageSize;
        }
        if (open_chunk()) continue;
        if (recent_count == 0) return Error(ENOMEM);
        release_recent_frames();
    }
}

Result<PhysAddr> allocate_zeroed_frame() {
    PhysAddr frame = TRY(allocate_frame());
    clear_page(phys_to_virt(frame));
    return frame;
}

void get_frame(PhysAddr address) {
    size_t number = frame_number(address);
    if (is_counted(number)) frames[number].references++;
}

void put_frame(PhysAddr address) {
    size_t number = frame_number(address);
    if (!is_counted(number) || --frames[number].references != 0) return;
    free_count++;
    if (recent_count == sizeof(recent_frames) / sizeof(recent_frames[0])) {
        // The older half goes, to merge with its neighbours.
        size_t half = recent_count / 2;
        for (size_t i = 0; i < half; i++) release(recent_frames[i], 0);
        recent_count -= half;
        memmove(recent_frames, recent_frames + half, recent_count * sizeof(recent_frames[0]));
    }
    recent_frames[recent_count++] = static_cast<uint32_t>(number);
}

void put_frames(PhysAddr first, unsigned order) {
    size_t number = frame_number(first), count = size_t{1} << order;
    bool whole = true;
    for (size_t i = 0; i < count; i++) whole = whole && frames[number + i].references == 1;
    if (whole) {
        for (size_t i = 0; i < count; i++) frames[number + i].references = 0;
        free_count += count;
        release(number, order);
        return;
    }
    for (size_t i = 0; i < count; i++) put_frame(first + i * kPageSize);
}

bool is_frame_exclusive(PhysAddr frame) {
    size_t number = frame_number(frame);
    return is_counted(number) && frames[number].references == 1;
}

unsigned allocation_order(PhysAddr frame) {
    return frames[frame_number(frame)].order;
}

FrameStatistics frame_statistics() {
    return {total_count, free_count};
}

}  // namespace coracle
