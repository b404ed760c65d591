#include "kernel-min/lib/user_copy.h"

#include <asm/errno.h>

#include "kernel-min/memory/fixups.h"

extern "C" {
long copy_string_raw(char* to, const char* from, size_t size);
bool compare_exchange_raw(uint32_t* word, uint32_t* expected, uint32_t desired);

struct Fixup {
    int32_t instruction, continuation;  // each relative to its own place
};
extern const Fixup fixups_start[], fixups_end[];
}

namespace coracle {

namespace {

uint64_t place_of(const int32_t& distance) {
    return reinterpret_cast<uint64_t>(&distance) + static_cast<uint64_t>(int64_t{distance});
}

}  // namespace

bool fix_up_fault(TrapFrame& frame) {
    for (const Fixup* fixup = fixups_start; fixup < fixups_end; fixup++) {
        if (place_of(fixup->instruction) != frame.rip) continue;
        frame.rip = place_of(fixup->continuation);
        return true;
    }
    return false;
}

size_t copy_from_user_partial(void* to, uint64_t from, size_t size) {
    if (!is_user_range(from, size)) return 0;
    return size - copy_user_raw(to, reinterpret_cast<const void*>(from), size);
}

size_t copy_to_user_partial(uint64_t to, const void* from, size_t size) {
    if (!is_user_range(to, size)) return 0;
    return size - copy_user_raw(reinterpret_cast<void*>(to), from, size);
}

size_t clear_user_partial(uint64_t to, size_t size) {
    if (!is_user_range(to, size)) return 0;
    return size - clear_user_raw(reinterpret_cast<void*>(to), size);
}

bool clear_user(uint64_t to, size_t size) {
    return clear_user_partial(to, size) == size;
}

long copy_string_from_user(char* to, uint64_t from, size_t size) {
    if (from >= kUserEnd) return -EFAULT;
    bool ends_at_limit = size > kUserEnd - from;
    size_t reachable = ends_at_limit ? kUserEnd - from : size;
    long length = copy_string_raw(to, reinterpret_cast<const char*>(from), reachable);
    if (length < 0) return -EFAULT;
    if (static_cast<size_t>(length) == reachable) return ends_at_limit ? -EFAULT : -ENAMETOOLONG;
    return length;
}

bool compare_exchange_user(uint64_t word, uint32_t* expected, uint32_t desired) {
    if (!is_user_range(word, sizeof(uint32_t))) return false;
    return compare_exchange_raw(reinterpret_cast<uint32_t*>(word), expected, desired);
}

}  // namespace coracle
