// getdents, getcwd, chdir, chroot.
#include <dirent.h>
#include <fcntl.h>

#include <cstddef>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/permission.h"
#include "libposix/process/process.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

constexpr size_t kAlignment = 8;

// Lays out struct linux_dirent64, or the old struct linux_dirent with the type in its last byte.
class EntryWriter final : public DirectoryVisitor {
  public:
    EntryWriter(uint64_t address, size_t size, bool old_format)
        : address_(address), left_(size), old_format_(old_format) {}

    bool visit(std::string_view name, uint64_t inode, uint8_t type, uint64_t next) override {
        // Both start with d_ino, d_off and d_reclen.
        constexpr size_t kHeader = sizeof(uint64_t) * 2 + sizeof(uint16_t);
        size_t tail = old_format_ ? 2 : 1;  // the NUL, and the type
        size_t start = old_format_ ? kHeader : kHeader + 1;
        size_t length = (start + name.size() + tail + kAlignment - 1) & ~(kAlignment - 1);
        if (length > left_) {
            error_ = written_ == 0 ? EINVAL : 0;
            return false;
        }
        char record[kHeader + 1 + kMaxName + 2 + kAlignment] = {};
        auto length16 = static_cast<uint16_t>(length);
        memcpy(record, &inode, sizeof(inode));
        memcpy(record + sizeof(uint64_t), &next, sizeof(next));
        memcpy(record + sizeof(uint64_t) * 2, &length16, sizeof(length16));
        memcpy(record + start, name.data(), name.size());
        record[old_format_ ? length - 1 : kHeader] = static_cast<char>(type);
        if (!copy_to_user(address_ + written_, record, length)) {
            error_ = written_ == 0 ? EFAULT : 0;
            return false;
        }
        written_ += length;
        left_ -= length;
        next_ = next;
        return true;
    }
    int error() const { return error_; }
    size_t written() const { return written_; }
    uint64_t next() const { return next_; }

  private:
    uint64_t address_;
    size_t left_, written_ = 0;
    uint64_t next_ = 0;
    bool old_format_;
    int error_ = 0;
};

Result<long> get_entries(int fd, uint64_t address, unsigned size, bool old_format) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    if (!is_user_range(address, size)) return Error(EFAULT);
    EntryWriter writer(address, size, old_format);
    TRY(file->list(writer));
    if (writer.error() != 0) return Error(writer.error());
    if (writer.written() != 0) file->position = writer.next();
    return static_cast<long>(writer.written());
}

Result<long> enter(Path directory, Path FileSystemContext::*member) {
    Process& process = *current_process();
    if (!directory.inode().is_directory()) return Error(ENOTDIR);
    TRY(check_permission(directory.inode(), kMayExecute, current_credentials()));
    bool is_chroot = member == &FileSystemContext::root;
    if (is_chroot && !current_credentials().has_capability(kCapSysChroot)) return Error(EPERM);
    process.file_system.get()->*member = std::move(directory);
    return 0;
}

}  // namespace

Result<long> sys_getdents64(int fd, UserOut<char> entries, unsigned count) {
    return get_entries(fd, entries.address(), count, false);
}

Result<long> sys_getdents(int fd, UserOut<char> entries, unsigned count) {
    return get_entries(fd, entries.address(), count, true);
}

Result<long> sys_getcwd(UserOut<char> buf, size_t size) {
    const FileSystemContext& context = *current_process()->file_system;
    if (context.cwd.dentry->is_deleted()) return Error(ENOENT);
    char text[kMaxPath];
    size_t length = TRY(format_path(context.cwd, context.root, text, sizeof(text))) + 1;
    if (length > size) return Error(ERANGE);
    TRY(buf.write_array(text, length));
    return static_cast<long>(length);
}

Result<long> sys_chdir(UserIn<char> path) {
    PathArgument argument;
    TRY(argument.read(path));
    return enter(TRY(argument.resolve(kFollowLast | kLastIsDirectory)), &FileSystemContext::cwd);
}

Result<long> sys_fchdir(int fd) {
    RefPtr<File> file = TRY(current_process()->descriptors->get(fd));
    return enter(file->path(), &FileSystemContext::cwd);
}

Result<long> sys_chroot(UserIn<char> path) {
    PathArgument argument;
    TRY(argument.read(path));
    return enter(TRY(argument.resolve(kFollowLast | kLastIsDirectory)), &FileSystemContext::root);
}

Result<RefPtr<FileSystemContext>> FileSystemContext::clone() const {
    RefPtr<FileSystemContext> copy = TRY(make_ref<FileSystemContext>(root, cwd));
    copy->umask = umask;
    return copy;
}

}  // namespace coracle
