// Open regular files and directories.
#pragma once

#include "libposix/files/file.h"

namespace coracle {

class FileMapping;

class RegularFile final : public File {
  public:
    // ETXTBSY: to be written while it is executed.
    static Result<RefPtr<File>> open(const Path& path, const RefPtr<Inode>& inode, uint32_t flags);
    RegularFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags);
    ~RegularFile();

    Result<size_t> read(IoBuffer& to, uint64_t& position) override;
    Result<size_t> write(IoBuffer& from, uint64_t& position) override;
    Result<uint64_t> seek(int64_t offset, int whence) override;
    Result<long> ioctl(uint32_t command, uint64_t argument) override;
    Result<RefPtr<MemoryObject>> memory_object() override;
    Result<void> truncate(uint64_t size) override;
    Result<void> allocate(int mode, uint64_t offset, uint64_t length) override;
    Result<void> sync(bool data_only) override;
    Result<void> check_flags(uint32_t flags) override;
    void descriptor_closed(Process& process) override;

  private:
    friend class FileMapping;
    FileMapping* mapping_ = nullptr;  // while someone has it mapped; it holds this file
};

class DirectoryFile final : public File {
  public:
    DirectoryFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
        : File(path, inode, flags) {
        seekable_ = true;
    }

    Result<size_t> read(IoBuffer&, uint64_t&) override { return Error(EISDIR); }
    Result<uint64_t> seek(int64_t offset, int whence) override;
    Result<void> list(DirectoryVisitor& visitor) override;
    Result<void> sync(bool) override { return {}; }
    Result<void> check_flags(uint32_t flags) override;
    void descriptor_closed(Process& process) override;
};

// An O_PATH descriptor: a place and nothing else.
class PathFile final : public File {
  public:
    PathFile(const Path& path, uint32_t flags) : File(path, path.dentry->inode_ref(), flags) {}
};

// Notes an access by relatime's rule (mount(8)): once a day, or after a change.
void touch_access_time(File& file);
void touch_access_time(Inode& inode, const Mount* mount);

// lseek(2) on something with a size. EINVAL.
Result<uint64_t> seek_to(uint64_t position, uint64_t size, int64_t offset, int whence);

}  // namespace coracle
