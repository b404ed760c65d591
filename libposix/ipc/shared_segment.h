// System V shared memory (man 2 shmop): a segment, and its attachments to address spaces.
#pragma once

#include "libposix/ipc/ipc_object.h"
#include "libposix/memory/shared_memory.h"

namespace coracle {

class SharedSegment : public IpcObject, public RefCounted<SharedSegment> {
  public:
    static constexpr unsigned kMaxSegments = 4096;                // kernel.shmmni
    static constexpr uint64_t kMaxSize = UINT64_MAX - (1 << 24);  // kernel.shmmax
    static constexpr uint64_t kMaxPages = kMaxSize;               // kernel.shmall

    static Result<RefPtr<SharedSegment>> create(uint64_t size);
    SharedSegment(uint64_t segment_size, RefPtr<SharedMemory> segment_memory)
        : size(segment_size), creator_pid(ipc_pid()), memory(std::move(segment_memory)) {
        change_time = ipc_time();
    }

    // An attachment begins or ends; with the last end, a segment that is to go goes.
    void note_attach();
    void note_detach();
    // IPC_RMID: it loses its key now, and goes when nobody has it attached.
    void remove();

    const uint64_t size;  // in bytes, as asked for
    const int32_t creator_pid;
    int32_t last_pid = 0;
    uint32_t attachments = 0;
    bool to_be_removed = false;
    bool is_locked = false;  // SHM_LOCK
    int64_t attach_time = 0, detach_time = 0, change_time = 0;
    const RefPtr<SharedMemory> memory;
};

IpcTable<SharedSegment>& shared_segments();

// What shmat(2) maps: one for each attachment, which ends when its last page is unmapped.
class SegmentAttachment final : public MemoryObject {
  public:
    explicit SegmentAttachment(RefPtr<SharedSegment> segment) : segment_(std::move(segment)) {
        segment_->note_attach();
    }
    ~SegmentAttachment() override { segment_->note_detach(); }

    Result<PhysAddr> page(uint64_t index, bool for_write) override {
        return segment_->memory->page(index, for_write);
    }
    PhysAddr cached_page(uint64_t index) override { return segment_->memory->cached_page(index); }
    const void* identity() const override { return segment_->memory.get(); }
    Result<void> punch_hole(uint64_t offset, uint64_t size) override {
        return segment_->memory->punch_hole(offset, size);
    }
    void describe(char* buffer, size_t size, uint32_t* device_major, uint32_t* device_minor,
                  uint64_t* inode) override;
    bool is_segment_attachment() const override { return true; }

    uint64_t size() const { return segment_->size; }

  private:
    const RefPtr<SharedSegment> segment_;
};

}  // namespace coracle
