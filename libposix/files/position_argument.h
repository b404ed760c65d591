// The position argument of splice(2) and its like: a pointer, or null for the file's own.
#pragma once

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/file.h"

namespace coracle {

class PositionArgument {
  public:
    // `unseekable` (ESPIPE): a position was given, and the file has none. EINVAL: negative.
    Result<void> read(UserInOut<int64_t> pointer, File& file, int unseekable = ESPIPE) {
        file_ = &file;
        pointer_ = pointer;
        value_ = file.position;
        if (!pointer) return {};
        if (!file.is_seekable()) return Error(unseekable);
        const int64_t value = TRY(pointer.read());
        if (value < 0) return Error(EINVAL);
        value_ = static_cast<uint64_t>(value);
        return {};
    }
    uint64_t& value() { return value_; }
    Result<void> write_back() {
        if (pointer_) return pointer_.write(static_cast<int64_t>(value_));
        file_->position = value_;
        return {};
    }

  private:
    File* file_ = nullptr;
    UserInOut<int64_t> pointer_;
    uint64_t value_ = 0;
};

}  // namespace coracle
