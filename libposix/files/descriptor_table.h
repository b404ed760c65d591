// File descriptors: numbers to open file descriptions, with the close-on-exec bits. Shared by
// clone(2) with CLONE_FILES.
#pragma once

#include <cstdint>
#include <memory>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/files/file.h"

namespace coracle {

// A File for the length of a call. It costs no reference while the table cannot change under the
// caller, that is, as long as one thread alone uses it.
class BorrowedFile {
  public:
    BorrowedFile(File* file, bool counted) : file_(file), counted_(counted) {
        if (counted_) file_->ref();
    }
    BorrowedFile(BorrowedFile&& other) : file_(other.file_), counted_(other.counted_) {
        other.counted_ = false;
    }
    BorrowedFile& operator=(BorrowedFile&&) = delete;
    ~BorrowedFile() {
        if (counted_) [[unlikely]]
            release();
    }
    File* operator->() const { return file_; }
    File& operator*() const { return *file_; }
    File* get() const { return file_; }
    explicit operator bool() const { return file_ != nullptr; }

  private:
    // The last close needs the kernel lock alone.
    void release() {
        if (file_->reference_count() == 1) become_alone();
        file_->unref();
    }

    File* file_;
    bool counted_;
};

class DescriptorTable : public RefCounted<DescriptorTable> {
  public:
    DescriptorTable() = default;
    ~DescriptorTable();

    // Null if `fd` is not open. Valid while the caller does not sleep and nobody closes it.
    File* find(int fd) const {
        return static_cast<uint32_t>(fd) < capacity_ ? files_[fd] : nullptr;
    }
    // find() for a thread that alone uses the table: null too if others do.
    File* find_sole(int fd) const {
        return static_cast<uint32_t>(fd) < sole_capacity_ ? files_[fd] : nullptr;
    }
    // Like find(), but safe for the length of a call. O_PATH descriptors are null to borrow().
    BorrowedFile borrow_any(int fd) const {
        File* file = find(fd);
        return BorrowedFile(file, file && shared_);
    }
    BorrowedFile borrow(int fd) const {
        File* file = find(fd);
        if (file && file->is_path_only()) [[unlikely]]
            file = nullptr;
        return BorrowedFile(file, file && shared_);
    }
    Result<RefPtr<File>> get(int fd) const;  // EBADF

    // The lowest free descriptor from `minimum` on. `limit` is RLIMIT_NOFILE. EMFILE, ENOMEM.
    Result<int> add(RefPtr<File> file, bool close_on_exec, int minimum, uint64_t limit);
    // Whether add() would find one below the limit.
    bool has_room(uint64_t limit) const;
    // dup2: puts the file at `fd`, closing what was there. EBADF from `limit` on, ENOMEM.
    Result<void> replace(int fd, RefPtr<File> file, bool close_on_exec, uint64_t limit);
    // Takes it out; the caller's reference drop may be the last close. EBADF.
    Result<RefPtr<File>> remove(int fd);

    bool close_on_exec(int fd) const;
    void set_close_on_exec(int fd, bool value);
    // execve: closes what is marked.
    void close_marked();
    void close_all();
    // The first open descriptor from `fd` on, or -1.
    int next_open(int fd) const;
    uint32_t capacity() const { return capacity_; }  // above every open descriptor

    // A copy for fork(2). ENOMEM.
    Result<RefPtr<DescriptorTable>> clone() const;
    // From now on several threads use the table.
    void share() {
        shared_ = true;
        sole_capacity_ = 0;
    }
    bool is_shared() const { return shared_; }

  private:
    Result<void> grow(uint32_t minimum);
    bool is_open(uint32_t fd) const { return fd < capacity_ && files_[fd]; }

    File** files_ = nullptr;          // each holds a reference
    uint64_t* close_on_exec_ = nullptr;  // bitmap of capacity_ bits
    uint32_t capacity_ = 0;           // a multiple of 64
    uint32_t sole_capacity_ = 0;      // capacity_, or 0 if shared_
    uint32_t lowest_free_ = 0;        // no free descriptor lies below
    bool shared_ = false;
};

// Adds to the current process's table with its RLIMIT_NOFILE: what every call that opens
// something ends with. EMFILE, ENOMEM.
Result<long> install_descriptor(RefPtr<File> file, uint32_t open_flags);
// The same for two, whose numbers the application is told; all or nothing. EFAULT too.
Result<long> install_descriptor_pair(RefPtr<File> first, RefPtr<File> second, uint32_t open_flags,
                                     UserOut<int> numbers);

}  // namespace coracle
