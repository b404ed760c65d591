#include "libposix/files/io_uring/ring_memory.h"

#include <bit>
#include <cstring>
#include <new>

#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {
namespace {

unsigned order_of(size_t size) {
    const size_t pages = (size + kPageSize - 1) / kPageSize;
    return static_cast<unsigned>(std::bit_width(pages - 1));
}

Result<PhysAddr> allocate_zeroed(unsigned order) {
    const PhysAddr block = TRY(allocate_frames(order));
    memset(phys_to_virt(block), 0, kPageSize << order);
    return block;
}

}  // namespace

Result<RefPtr<RingMemory>> RingMemory::create(unsigned submissions, unsigned completions) {
    RingMemory* made = new (std::nothrow) RingMemory(submissions, completions);
    if (!made) return Error(ENOMEM);
    RefPtr<RingMemory> memory = adopt_ref(made);
    made->rings_order_ = order_of(made->rings_size());
    made->entries_order_ = order_of(made->entries_size());
    made->rings_ = TRY(allocate_zeroed(made->rings_order_));
    made->entries_ = TRY(allocate_zeroed(made->entries_order_));
    made->word(kMask) = submissions - 1;
    made->word(kEntries) = submissions;
    made->word(kCompletionMask) = completions - 1;
    made->word(kCompletionEntries) = completions;
    return memory;
}

RingMemory::~RingMemory() {
    if (rings_ != 0) put_frames(rings_, rings_order_);
    if (entries_ != 0) put_frames(entries_, entries_order_);
}

void RingMemory::fill_offsets(io_uring_params& to) const {
    auto offset = [](Word which) { return static_cast<uint32_t>(which * sizeof(uint32_t)); };
    to.sq_off = {.head = offset(kHead),
                 .tail = offset(kTail),
                 .ring_mask = offset(kMask),
                 .ring_entries = offset(kEntries),
                 .flags = offset(kFlags),
                 .dropped = offset(kDropped),
                 .array = static_cast<uint32_t>(array_offset()),
                 .resv1 = 0,
                 .resv2 = 0};
    to.cq_off = {.head = offset(kCompletionHead),
                 .tail = offset(kCompletionTail),
                 .ring_mask = offset(kCompletionMask),
                 .ring_entries = offset(kCompletionEntries),
                 .overflow = offset(kOverflow),
                 .cqes = static_cast<uint32_t>(completions_offset()),
                 .flags = offset(kCompletionFlags),
                 .resv1 = 0,
                 .resv2 = 0};
}

unsigned RingMemory::waiting_submissions() const {
    return word(kTail).load(std::memory_order_acquire) - word(kHead);
}

bool RingMemory::take(io_uring_sqe& to) {
    const uint32_t head = word(kHead);
    const auto* array = phys_to_virt<const std::atomic<uint32_t>>(rings_ + array_offset());
    const uint32_t index = array[head & (submissions_ - 1)];
    const bool is_valid = index < submissions_;
    if (is_valid) {
        memcpy(&to, phys_to_virt<const io_uring_sqe>(entries_) + index, sizeof(to));
    } else {
        word(kDropped).fetch_add(1);
    }
    word(kHead).store(head + 1, std::memory_order_release);
    return is_valid;
}

unsigned RingMemory::ready_completions() const {
    const uint32_t head = word(kCompletionHead).load(std::memory_order_acquire);
    return word(kCompletionTail) - head;
}

void RingMemory::put(const io_uring_cqe& completion) {
    const uint32_t tail = word(kCompletionTail);
    char* slots = phys_to_virt<char>(rings_ + completions_offset());
    memcpy(slots + (tail & (completions_ - 1)) * sizeof(completion), &completion,
           sizeof(completion));
    word(kCompletionTail).store(tail + 1, std::memory_order_release);
}

void RingMemory::describe_state(TextBuffer& to) const {
    const uint32_t head = word(kHead), tail = word(kTail);
    const uint32_t completed_head = word(kCompletionHead), completed_tail = word(kCompletionTail);
    to.print("SqMask:\t0x%x\nSqHead:\t%u\nSqTail:\t%u\nCachedSqHead:\t%u\n", submissions_ - 1,
             head, tail, head);
    to.print("CqMask:\t0x%x\nCqHead:\t%u\nCqTail:\t%u\nCachedCqTail:\t%u\n", completions_ - 1,
             completed_head, completed_tail, completed_tail);
    to.print("SQEs:\t%u\nCQEs:\t%u\n", tail - head, completed_tail - completed_head);
}

Result<PhysAddr> RingMemory::page(uint64_t index, bool) {
    const PhysAddr frame = cached_page(index);
    if (frame == 0) return Error(ENXIO);
    return frame;
}

PhysAddr RingMemory::cached_page(uint64_t index) {
    constexpr uint64_t kOtherRing = IORING_OFF_CQ_RING / kPageSize;
    constexpr uint64_t kEntries = IORING_OFF_SQES / kPageSize;
    PhysAddr block = rings_;
    size_t size = rings_size();
    if (index >= kEntries) {
        index -= kEntries;
        block = entries_;
        size = entries_size();
    } else if (index >= kOtherRing) {
        index -= kOtherRing;  // IORING_FEAT_SINGLE_MMAP: the same memory
    }
    if (index * kPageSize >= size) return 0;
    const PhysAddr frame = block + index * kPageSize;
    get_frame(frame);
    return frame;
}

void RingMemory::describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                          uint64_t* inode) {
    constexpr char kName[] = "anon_inode:[io_uring]";
    *device_major = 0;
    *device_minor = 0;
    *inode = 0;
    const size_t length = size < sizeof(kName) ? size : sizeof(kName);
    memcpy(buffer, kName, length);
    buffer[length - 1] = '\0';
}

}  // namespace coracle
