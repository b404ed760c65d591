// /dev/null, zero, full, random and urandom (man 4 null, man 4 full, man 4 random).
#include <linux/random.h>

#include <algorithm>

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"
#include "libposix/fs/dev_tree.h"
#include "libposix/fs/device_node.h"
#include "libposix/fs/page_tree.h"

namespace coracle {
namespace {

constexpr uint32_t kMemoryMajor = 1;

class NullFile : public File {
  public:
    NullFile(const Path& path, const RefPtr<Inode>& inode, uint32_t flags)
        : File(path, inode, flags) {
        seekable_ = true;
    }
    Result<size_t> read(IoBuffer&, uint64_t&) override { return size_t{0}; }
    Result<size_t> write(IoBuffer& from, uint64_t&) override { return from.size(); }
    Result<uint64_t> seek(int64_t, int) override {
        position = 0;
        return position;
    }
};

// A mapping of /dev/zero: memory of its own.
class ZeroMemory final : public MemoryObject {
  public:
    explicit ZeroMemory(uint64_t inode) : inode_(inode) {}
    ~ZeroMemory() override {
        pages_.clear(0, PageTree::kMaxPages, [](uint64_t frame) { put_frame(frame); });
    }
    Result<PhysAddr> page(uint64_t index, bool) override {
        PhysAddr frame = pages_.get(index);
        if (frame == 0) {
            frame = TRY(allocate_zeroed_frame());
            TRY(pages_.set(index, frame));
        }
        get_frame(frame);
        return frame;
    }
    void describe(char* buffer, size_t size, uint32_t* major, uint32_t* minor,
                  uint64_t* inode) override {
        constexpr std::string_view kName = "/dev/zero";
        size_t length = std::min(size - 1, kName.size());
        std::copy_n(kName.data(), length, buffer);
        buffer[length] = '\0';
        *major = 0;
        *minor = 0;
        *inode = inode_;
    }

  private:
    PageTree pages_;
    uint64_t inode_;
};

class ZeroFile : public NullFile {
  public:
    using NullFile::NullFile;
    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        if (to.is_one_piece_of(1) && to.put('\0')) return size_t{1};
        return fill(to);
    }
    Result<RefPtr<MemoryObject>> memory_object() override {
        return RefPtr<MemoryObject>(TRY(make_ref<ZeroMemory>(inode().number)));
    }

  private:
    [[gnu::noinline]] static Result<size_t> fill(IoBuffer& to) {
        const size_t done = to.fill_zero(to.size());
        if (done == 0 && !to.is_empty()) return Error(EFAULT);
        return done;
    }
};

class FullFile final : public ZeroFile {
  public:
    using ZeroFile::ZeroFile;
    Result<size_t> write(IoBuffer&, uint64_t&) override { return Error(ENOSPC); }
    Result<RefPtr<MemoryObject>> memory_object() override { return Error(ENODEV); }
};

class RandomFile final : public NullFile {
  public:
    using NullFile::NullFile;
    Result<size_t> read(IoBuffer& to, uint64_t&) override {
        char bytes[256];
        size_t done = 0;
        while (!to.is_empty()) {
            size_t part = std::min(to.size(), sizeof(bytes));
            fill_random(bytes, part);
            size_t moved = to.copy_out(bytes, part);
            done += moved;
            if (moved == part) continue;
            if (done == 0) return Error(EFAULT);
            break;
        }
        return done;
    }
    // The pool is seeded from the CPU; what programs add is read and not needed.
    Result<size_t> write(IoBuffer& from, uint64_t&) override {
        char bytes[256];
        size_t done = 0;
        while (!from.is_empty()) {
            size_t moved = from.copy_in(bytes, sizeof(bytes));
            if (moved == 0) break;
            done += moved;
        }
        if (done == 0 && !from.is_empty()) return Error(EFAULT);
        return done;
    }
    Result<long> ioctl(uint32_t command, uint64_t argument) override {
        if (command != RNDGETENTCNT) return Error(EINVAL);
        int32_t bits = 256;
        if (!copy_to_user(argument, &bits, sizeof(bits))) return Error(EFAULT);
        return 0;
    }
};

template <typename Device>
Result<RefPtr<File>> open_device(const Path& path, const RefPtr<Inode>& inode, uint32_t flags) {
    return RefPtr<File>(TRY(make_ref<Device>(path, inode, flags)));
}

}  // namespace

Result<void> register_memory_devices() {
    TRY(register_char_device("null", 0666, kMemoryMajor, 3, open_device<NullFile>));
    TRY(register_char_device("zero", 0666, kMemoryMajor, 5, open_device<ZeroFile>));
    TRY(register_char_device("full", 0666, kMemoryMajor, 7, open_device<FullFile>));
    TRY(register_char_device("random", 0666, kMemoryMajor, 8, open_device<RandomFile>));
    return register_char_device("urandom", 0666, kMemoryMajor, 9, open_device<RandomFile>);
}

Result<void> fill_dev(Inode& root) {
    constexpr struct {
        std::string_view name, target;
    } kLinks[] = {{"fd", "/proc/self/fd"},
                  {"stdin", "/proc/self/fd/0"},
                  {"stdout", "/proc/self/fd/1"},
                  {"stderr", "/proc/self/fd/2"},
                  {"core", "/proc/kcore"}};
    for (const auto& link : kLinks) {
        TRY(root.create(link.name, NewInode{.mode = S_IFLNK | 0777, .link_target = link.target}));
    }
    for (std::string_view name : {"shm", "mqueue"}) {
        TRY(root.create(name, NewInode{.mode = S_IFDIR | S_ISVTX | 0777}));
    }
    TRY(root.create("pts", NewInode{.mode = S_IFDIR | 0755}));
    return make_device_nodes(root);
}

}  // namespace coracle
