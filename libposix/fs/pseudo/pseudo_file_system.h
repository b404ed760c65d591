// File systems whose files the kernel writes when they are read: /proc and /sys. A directory is a
// table of entries; a new file is one line of a table and a function that prints it.
#pragma once

#include <cstdint>
#include <string_view>

#include "libposix/files/file.h"
#include "libposix/fs/inode.h"
#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {

class Process;
struct Thread;
class PseudoInode;

// What an entry is about.
struct PseudoContext {
    uint32_t pid = 0;  // or a thread's number; 0: no process
    int fd = -1;
    // The thread of that number; of a process whose first thread has ended, another one.
    Thread* thread = nullptr;
    // The process, which the entry's functions may count on; null if pid is 0.
    Process* process = nullptr;
};

struct PseudoEntry {
    using Show = Result<void> (*)(TextBuffer& to, const PseudoContext& about);
    using Store = Result<void> (*)(std::string_view text, const PseudoContext& about);
    using Link = Result<LinkTarget> (*)(const PseudoContext& about);
    // A further child that the table does not have: ENOENT.
    using Lookup = Result<RefPtr<Inode>> (*)(const PseudoInode& directory, std::string_view name);
    using List = Result<void> (*)(const PseudoInode& directory, uint64_t position,
                                  DirectoryVisitor& visitor);

    std::string_view name;
    uint32_t mode;
    Show show = nullptr;    // of a file; EACCES from open(2) for reading without it
    Store store = nullptr;  // of a file; EACCES from open(2) for writing without it
    Link link = nullptr;    // of a symbolic link
    const PseudoEntry* children = nullptr;  // of a directory
    size_t child_count = 0;
    Lookup lookup = nullptr;
    List list = nullptr;

    static constexpr PseudoEntry file(std::string_view name, Show show, uint32_t mode = 0444,
                                      Store store = nullptr) {
        return {.name = name, .mode = S_IFREG | mode, .show = show, .store = store};
    }
    static constexpr PseudoEntry symlink(std::string_view name, Link link) {
        return {.name = name, .mode = S_IFLNK | 0777, .link = link};
    }
    template <size_t count>
    static constexpr PseudoEntry directory(std::string_view name,
                                           const PseudoEntry (&children)[count],
                                           uint32_t mode = 0555) {
        return {.name = name, .mode = S_IFDIR | mode, .children = children, .child_count = count};
    }
    static constexpr PseudoEntry empty_directory(std::string_view name, uint32_t mode = 0555) {
        return {.name = name, .mode = S_IFDIR | mode};
    }
    static constexpr PseudoEntry dynamic(std::string_view name, Lookup lookup, List list,
                                         uint32_t mode = 0555) {
        return {.name = name, .mode = S_IFDIR | mode, .lookup = lookup, .list = list};
    }
};

class PseudoFileSystem final : public FileSystem {
  public:
    // `shown_size`: st_size of its files.
    PseudoFileSystem(const char* type_name, uint64_t magic, uint64_t shown_size);
    const char* type_name() const override { return type_name_; }
    Statistics statistics() const override { return {.type = magic_}; }
    uint64_t shown_size() const { return shown_size_; }

  private:
    const char* type_name_;
    uint64_t magic_, shown_size_;
};

class PseudoInode final : public Inode {
  public:
    PseudoInode(PseudoFileSystem& owner, const PseudoEntry& entry, uint32_t pid, int fd);

    const PseudoEntry& entry() const { return entry_; }
    uint32_t pid() const { return pid_; }
    // ESRCH: the process is gone.
    Result<PseudoContext> context() const;
    PseudoFileSystem& pseudo() const { return static_cast<PseudoFileSystem&>(file_system()); }
    Result<RefPtr<Inode>> make_child(const PseudoEntry& entry, uint32_t pid, int fd = -1) const;

    uint64_t size() const override { return is_regular() ? pseudo().shown_size() : 0; }
    uint32_t block_size() const override { return is_regular() ? 1024 : kPageSize; }
    Result<void> refresh() override;
    Result<RefPtr<Inode>> lookup(std::string_view name) override;
    Result<void> list(uint64_t position, DirectoryVisitor& visitor) override;
    // As Linux's /proc: a name that is not there cannot be made, ENOENT. Others: as Inode says.
    Result<RefPtr<Inode>> create(std::string_view name, const NewInode& what) override;
    bool is_cacheable() const override { return pid_ == 0 && !entry_.lookup; }
    Result<LinkTarget> read_link() override;
    Result<RefPtr<File>> open(const Path& path, uint32_t flags) override;
    Result<void> change_attributes(const AttributeChange&) override { return Error(EPERM); }

  private:
    const PseudoEntry& entry_;
    uint32_t pid_;
    int fd_;
};

// A link's text in memory of its own. ENOMEM.
Result<LinkTarget> make_link_target(std::string_view text);

// The process with this id, or of the thread with this id; or null.
Process* find_process(uint32_t pid);

// A whole decimal number without leading zeros; -1 if it is none.
int64_t parse_number(std::string_view text);

}  // namespace coracle
