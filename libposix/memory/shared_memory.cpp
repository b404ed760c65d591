#include "libposix/memory/shared_memory.h"

#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/fs/page_tree.h"

namespace coracle {

namespace {

class SharedMemory : public MemoryObject {
  public:
    explicit SharedMemory(uint64_t size) : page_count_(size / kPageSize) {}
    ~SharedMemory() override {
        pages_.clear(0, page_count_, [](uint64_t frame) { put_frame(frame); });
    }

    Result<PhysAddr> page(uint64_t index, bool) override {
        if (index >= page_count_) return Error(ENXIO);
        PhysAddr frame = pages_.get(index);
        if (!frame) {
            frame = TRY(allocate_zeroed_frame());
            if (auto stored = pages_.set(index, frame); !stored) {
                put_frame(frame);
                return stored.error();
            }
        }
        get_frame(frame);
        return frame;
    }

    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override {
        constexpr char kName[] = "/dev/zero (deleted)";
        *device_major = 0;
        *device_minor = 1;
        *inode = reinterpret_cast<uint64_t>(this) >> 4 & 0xffffffff;
        size_t length = sizeof(kName) < size ? sizeof(kName) : size;
        memcpy(buffer, kName, length);
        buffer[length - 1] = '\0';
    }

  private:
    uint64_t page_count_;
    PageTree pages_;
};

}  // namespace

Result<RefPtr<MemoryObject>> make_shared_memory(uint64_t size) {
    return RefPtr<MemoryObject>(TRY(make_ref<SharedMemory>(size)));
}

}  // namespace coracle
