#include "libposix/files/io_buffer.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace coracle {

template <typename Move>
size_t IoBuffer::for_each_piece(size_t length, Move move) {
    length = std::min(length, size());
    size_t done = 0;
    while (done < length) {
        if (space_ == Space::kKernel) {
            piece_ = std::exchange(rest_, 0);
        } else if (piece_ == 0) {
            address_ = next_->address;
            piece_ = std::min<size_t>(next_++->length, rest_);
            rest_ -= piece_;
            continue;
        }
        const size_t piece = std::min(piece_, length - done);
        const size_t moved = advance(move(address_, done, piece));
        if (space_ == Space::kKernel) rest_ = std::exchange(piece_, 0);
        done += moved;
        if (moved < piece) break;
    }
    return done;
}

size_t IoBuffer::copy_out_any(const void* from, size_t length) {
    if (length <= piece_) {
        return advance(length - copy_user_raw(reinterpret_cast<void*>(address_), from, length));
    }
    const char* bytes = static_cast<const char*>(from);
    return for_each_piece(length, [&](uint64_t address, size_t offset, size_t piece) {
        if (space_ == Space::kUser) return copy_to_user_partial(address, bytes + offset, piece);
        memcpy(reinterpret_cast<void*>(address), bytes + offset, piece);
        return piece;
    });
}

size_t IoBuffer::copy_in_any(void* to, size_t length) {
    if (length <= piece_) {
        return advance(length - copy_user_raw(to, reinterpret_cast<const void*>(address_), length));
    }
    char* bytes = static_cast<char*>(to);
    return for_each_piece(length, [&](uint64_t address, size_t offset, size_t piece) {
        if (space_ == Space::kUser) return copy_from_user_partial(bytes + offset, address, piece);
        memcpy(bytes + offset, reinterpret_cast<const void*>(address), piece);
        return piece;
    });
}

size_t IoBuffer::fill_zero(size_t length) {
    if (length <= piece_) {
        return advance(length - clear_user_raw(reinterpret_cast<void*>(address_), length));
    }
    return for_each_piece(length, [&](uint64_t address, size_t, size_t piece) {
        if (space_ == Space::kUser) return clear_user_partial(address, piece);
        memset(reinterpret_cast<void*>(address), 0, piece);
        return piece;
    });
}

IoBuffer::Segment IoBuffer::front() {
    if (space_ == Space::kKernel) return {address_, rest_};
    while (piece_ == 0) {
        address_ = next_->address;
        piece_ = std::min<size_t>(next_++->length, rest_);
        rest_ -= piece_;
    }
    return {address_, piece_};
}

void IoBuffer::skip(size_t length) {
    for_each_piece(length, [](uint64_t, size_t, size_t piece) { return piece; });
}

}  // namespace coracle
