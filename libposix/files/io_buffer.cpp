#include "libposix/files/io_buffer.h"

#include <algorithm>
#include <cstring>

namespace coracle {

template <typename Move>
size_t IoBuffer::for_each_piece(size_t length, Move move) {
    length = std::min(length, size_);
    if (length <= current_.length) [[likely]] {
        const size_t moved = move(current_.address, size_t{0}, length);
        current_.address += moved;
        current_.length -= moved;
        size_ -= moved;
        return moved;
    }
    size_t done = 0;
    while (done < length) {
        if (current_.length == 0) {
            current_ = *next_++;
            continue;
        }
        size_t piece = std::min<size_t>(current_.length, length - done);
        size_t moved = move(current_.address, done, piece);
        current_.address += moved;
        current_.length -= moved;
        size_ -= moved;
        done += moved;
        if (moved < piece) break;
    }
    return done;
}

size_t IoBuffer::copy_out_pieces(const void* from, size_t length) {
    const char* bytes = static_cast<const char*>(from);
    return for_each_piece(length, [&](uint64_t address, size_t offset, size_t piece) {
        if (space_ == Space::kUser) return copy_to_user_partial(address, bytes + offset, piece);
        memcpy(reinterpret_cast<void*>(address), bytes + offset, piece);
        return piece;
    });
}

size_t IoBuffer::copy_in_pieces(void* to, size_t length) {
    char* bytes = static_cast<char*>(to);
    return for_each_piece(length, [&](uint64_t address, size_t offset, size_t piece) {
        if (space_ == Space::kUser) return copy_from_user_partial(bytes + offset, address, piece);
        memcpy(bytes + offset, reinterpret_cast<const void*>(address), piece);
        return piece;
    });
}

size_t IoBuffer::fill_pieces_with_zero(size_t length) {
    return for_each_piece(length, [&](uint64_t address, size_t, size_t piece) {
        if (space_ == Space::kUser) return clear_user_partial(address, piece);
        memset(reinterpret_cast<void*>(address), 0, piece);
        return piece;
    });
}

void IoBuffer::skip(size_t length) {
    for_each_piece(length, [](uint64_t, size_t, size_t piece) { return piece; });
}

}  // namespace coracle
