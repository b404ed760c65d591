#include "libposix/fs/pseudo/pseudo_file_system.h"

#include <dirent.h>
#include <linux/magic.h>

#include <algorithm>
#include <cstring>
#include <new>

#include "kernel-min/memory/heap.h"
#include "libposix/files/inode_file.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"

namespace coracle {
namespace {

// Open: the text is made when it is first read, and again at each read from the start.
class PseudoFile final : public File {
  public:
    PseudoFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
        : File(path, inode, flags) {
        seekable_ = true;
    }
    Result<size_t> read(IoBuffer& to, uint64_t& position) override {
        if (position == 0 || !made_) TRY(make());
        std::string_view text = text_.text();
        if (position >= text.size()) return size_t{0};
        size_t length = std::min<size_t>(to.size(), text.size() - position);
        size_t done = to.copy_out(text.data() + position, length);
        if (done == 0 && length != 0) return Error(EFAULT);
        position += done;
        return done;
    }
    Result<size_t> write(IoBuffer& from, uint64_t& position) override {
        if (!entry().store) return Error(EIO);
        char text[256];
        size_t size = from.size();
        if (size >= sizeof(text)) return Error(EINVAL);
        if (from.copy_in(text, size) < size) return Error(EFAULT);
        TRY(entry().store({text, size}, TRY(pseudo_inode().context())));
        position += size;
        return size;
    }
    Result<uint64_t> seek(int64_t offset, int whence) override {
        if (whence != SEEK_SET && whence != SEEK_CUR) return Error(EINVAL);
        position = TRY(seek_to(position, 0, offset, whence));
        return position;
    }

    // What a shell's > does first.
    Result<void> truncate(uint64_t) override { return {}; }

  private:
    PseudoInode& pseudo_inode() const { return static_cast<PseudoInode&>(inode()); }
    const PseudoEntry& entry() const { return pseudo_inode().entry(); }
    Result<void> make() {
        text_.clear();
        TRY(entry().show(text_, TRY(pseudo_inode().context())));
        TRY(text_.status());
        made_ = true;
        return {};
    }

    TextBuffer text_;
    bool made_ = false;
};

uint64_t inode_number(const PseudoEntry& entry, uint32_t pid, int fd) {
    // Tables are constants of the kernel: an entry's place in it is its number.
    uint64_t place = reinterpret_cast<uint64_t>(&entry) / alignof(PseudoEntry) & 0xffffff;
    return place | uint64_t{pid} << 24 | static_cast<uint64_t>(fd + 1) << 40;
}

}  // namespace

PseudoFileSystem::PseudoFileSystem(const char* type_name, uint64_t magic, uint64_t shown_size)
    : type_name_(type_name), magic_(magic), shown_size_(shown_size) {
    device = allocate_anonymous_device();
}

PseudoInode::PseudoInode(PseudoFileSystem& owner, const PseudoEntry& entry, uint32_t pid, int fd)
    : Inode(owner), entry_(entry), pid_(pid), fd_(fd) {
    number = inode_number(entry, pid, fd);
    mode = entry.mode;
    if (is_directory()) {
        link_count = 2;
        for (size_t i = 0; i < entry.child_count; i++) {
            link_count += S_ISDIR(entry.children[i].mode);
        }
    }
    access_time = modify_time = change_time = birth_time = current_time();
    (void)refresh();
}

Result<PseudoContext> PseudoInode::context() const {
    Process* process = pid_ == 0 ? nullptr : find_process(pid_);
    if (pid_ != 0 && !process) return Error(ESRCH);
    Thread* thread = pid_ == 0 ? nullptr : find_thread(pid_);
    if (process && !thread) thread = &process->threads.front();
    return PseudoContext{pid_, fd_, thread, process};
}

Result<void> PseudoInode::refresh() {
    Process* process = pid_ == 0 ? nullptr : find_process(pid_);
    if (process && process->dumpable) {
        uid = process->credentials.euid;
        gid = process->credentials.egid;
    }
    return {};
}

Result<RefPtr<Inode>> PseudoInode::make_child(const PseudoEntry& entry, uint32_t pid,
                                              int fd) const {
    return RefPtr<Inode>(TRY(make_ref<PseudoInode>(pseudo(), entry, pid, fd)));
}

Result<RefPtr<Inode>> PseudoInode::lookup(std::string_view name) {
    for (size_t i = 0; i < entry_.child_count; i++) {
        if (entry_.children[i].name == name) return make_child(entry_.children[i], pid_, fd_);
    }
    if (entry_.lookup) return entry_.lookup(*this, name);
    return Error(ENOENT);
}

Result<void> PseudoInode::list(uint64_t position, DirectoryVisitor& visitor) {
    constexpr uint64_t kFirst = 2;
    for (uint64_t i = position - kFirst; i < entry_.child_count; i++) {
        const PseudoEntry& child = entry_.children[i];
        auto type = static_cast<uint8_t>(child.mode >> 12);
        if (!visitor.visit(child.name, inode_number(child, pid_, fd_), type, kFirst + i + 1)) {
            return {};
        }
    }
    if (entry_.list) {
        return entry_.list(*this, std::max(position, kFirst + entry_.child_count), visitor);
    }
    return {};
}

Result<RefPtr<Inode>> PseudoInode::create(std::string_view name, const NewInode& what) {
    if (pseudo().statistics().type == PROC_SUPER_MAGIC) return Error(ENOENT);
    return Inode::create(name, what);
}

Result<LinkTarget> PseudoInode::read_link() {
    if (!entry_.link) return Error(EINVAL);
    return entry_.link(TRY(context()));
}

Result<RefPtr<File>> PseudoInode::open(const Path& path, uint32_t flags) {
    if (!is_regular()) return Inode::open(path, flags);
    bool reads = (flags & O_ACCMODE) != O_WRONLY, writes = (flags & O_ACCMODE) != O_RDONLY;
    if (reads && !entry_.show) return Error(EACCES);
    if (writes && !entry_.store) return Error(EACCES);
    return RefPtr<File>(TRY(make_ref<PseudoFile>(path, RefPtr<Inode>(this), flags)));
}

Result<LinkTarget> make_link_target(std::string_view text) {
    LinkTarget target;
    target.storage.reset(new (std::nothrow) char[text.size()]);
    if (!target.storage) return Error(ENOMEM);
    memcpy(target.storage.get(), text.data(), text.size());
    target.text = {target.storage.get(), text.size()};
    return target;
}

Process* find_process(uint32_t pid) {
    // FIXME: look in the table of processes when there is more than one.
    Process* process = current_process();
    if (process && process->pid == pid) return process;
    Thread* thread = find_thread(pid);
    return thread ? thread->process : nullptr;
}

int64_t parse_number(std::string_view text) {
    if (text.empty() || text.size() > 10 || (text.size() > 1 && text.front() == '0')) return -1;
    int64_t number = 0;
    for (char c : text) {
        if (c < '0' || c > '9') return -1;
        number = number * 10 + (c - '0');
    }
    return number;
}

}  // namespace coracle
