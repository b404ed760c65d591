#include "libposix/files/descriptor_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

constexpr uint32_t kFirstCapacity = 64;

uint64_t bit_of(uint32_t fd) { return uint64_t{1} << (fd % 64); }

}  // namespace

DescriptorTable::~DescriptorTable() {
    close_all();
    delete[] files_;
    delete[] close_on_exec_;
}

Result<RefPtr<File>> DescriptorTable::get(int fd) const {
    File* file = find(fd);
    if (!file) return Error(EBADF);
    return RefPtr<File>(file);
}

Result<void> DescriptorTable::grow(uint32_t minimum) {
    uint32_t capacity = std::max(std::bit_ceil(minimum), kFirstCapacity);
    std::unique_ptr<File*[]> files(new (std::nothrow) File*[capacity]());
    std::unique_ptr<uint64_t[]> bits(new (std::nothrow) uint64_t[capacity / 64]());
    if (!files || !bits) return Error(ENOMEM);
    std::copy_n(files_, capacity_, files.get());
    std::copy_n(close_on_exec_, capacity_ / 64, bits.get());
    delete[] files_;
    delete[] close_on_exec_;
    files_ = files.release();
    close_on_exec_ = bits.release();
    capacity_ = capacity;
    if (!shared_) sole_capacity_ = capacity;
    return {};
}

Result<int> DescriptorTable::add(RefPtr<File> file, bool close_on_exec, int minimum,
                                 uint64_t limit) {
    uint32_t fd = std::max<uint32_t>(minimum, lowest_free_);
    while (is_open(fd)) fd++;
    if (fd >= limit) return Error(EMFILE);
    if (fd >= capacity_) TRY(grow(fd + 1));
    if (static_cast<uint32_t>(minimum) <= lowest_free_) lowest_free_ = fd + 1;
    files_[fd] = file.leak_ref();
    set_close_on_exec(static_cast<int>(fd), close_on_exec);
    return static_cast<int>(fd);
}

bool DescriptorTable::has_room(uint64_t limit) const {
    uint32_t fd = lowest_free_;
    while (is_open(fd)) fd++;
    return fd < limit;
}

Result<void> DescriptorTable::replace(int fd, RefPtr<File> file, bool close_on_exec,
                                      uint64_t limit) {
    auto index = static_cast<uint32_t>(fd);
    if (index >= limit) return Error(EBADF);
    if (index >= capacity_) TRY(grow(index + 1));
    RefPtr<File> old = adopt_ref(files_[index]);
    files_[index] = file.leak_ref();
    set_close_on_exec(fd, close_on_exec);
    if (old) old->descriptor_closed(*current_process());
    return {};
}

Result<RefPtr<File>> DescriptorTable::remove(int fd) {
    auto index = static_cast<uint32_t>(fd);
    if (!is_open(index)) return Error(EBADF);
    RefPtr<File> file = adopt_ref(files_[index]);
    files_[index] = nullptr;
    close_on_exec_[index / 64] &= ~bit_of(index);
    lowest_free_ = std::min(lowest_free_, index);
    return file;
}

bool DescriptorTable::close_on_exec(int fd) const {
    auto index = static_cast<uint32_t>(fd);
    return index < capacity_ && (close_on_exec_[index / 64] & bit_of(index));
}

void DescriptorTable::set_close_on_exec(int fd, bool value) {
    auto index = static_cast<uint32_t>(fd);
    if (value) {
        close_on_exec_[index / 64] |= bit_of(index);
    } else {
        close_on_exec_[index / 64] &= ~bit_of(index);
    }
}

void DescriptorTable::close_marked() {
    for (int fd = next_open(0); fd >= 0; fd = next_open(fd + 1)) {
        if (!close_on_exec(fd)) continue;
        RefPtr<File> file = remove(fd).release_value();
        file->descriptor_closed(*current_process());
    }
}

void DescriptorTable::close_all() {
    for (int fd = next_open(0); fd >= 0; fd = next_open(fd + 1)) {
        (void)remove(fd).release_value();
    }
}

int DescriptorTable::next_open(int fd) const {
    for (auto index = static_cast<uint32_t>(fd); index < capacity_; index++) {
        if (files_[index]) return static_cast<int>(index);
    }
    return -1;
}

Result<RefPtr<DescriptorTable>> DescriptorTable::clone() const {
    RefPtr<DescriptorTable> copy = TRY(make_ref<DescriptorTable>());
    if (capacity_ != 0) TRY(copy->grow(capacity_));
    for (int fd = next_open(0); fd >= 0; fd = next_open(fd + 1)) {
        files_[fd]->ref();
        copy->files_[fd] = files_[fd];
    }
    std::copy_n(close_on_exec_, capacity_ / 64, copy->close_on_exec_);
    copy->lowest_free_ = lowest_free_;
    return copy;
}

Result<long> install_descriptor(RefPtr<File> file, uint32_t open_flags) {
    Process& process = *current_process();
    return TRY(process.descriptors->add(std::move(file), open_flags & O_CLOEXEC, 0,
                                        process.limits.soft(Resource::kOpenFiles)));
}

Result<long> install_descriptor_pair(RefPtr<File> first, RefPtr<File> second, uint32_t open_flags,
                                     UserOut<int> numbers) {
    DescriptorTable& table = *current_process()->descriptors;
    int pair[2];
    pair[0] = static_cast<int>(TRY(install_descriptor(std::move(first), open_flags)));
    Result<long> added = install_descriptor(std::move(second), open_flags);
    if (!added.ok()) {
        (void)table.remove(pair[0]);
        return added.error();
    }
    pair[1] = static_cast<int>(*added);
    if (!numbers.write_array(pair, 2).ok()) {
        (void)table.remove(pair[0]);
        (void)table.remove(pair[1]);
        return Error(EFAULT);
    }
    return 0;
}

}  // namespace coracle
