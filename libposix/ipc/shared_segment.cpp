#include "libposix/ipc/shared_segment.h"

#include <cstring>

#include "kernel-min/lib/text_line.h"
#include "kernel-min/memory/heap.h"

namespace coracle {

IpcTable<SharedSegment>& shared_segments() {
    static constinit IpcTable<SharedSegment> table(SharedSegment::kMaxSegments);
    return table;
}

Result<RefPtr<SharedSegment>> SharedSegment::create(uint64_t size) {
    const uint64_t pages = (size + kPageSize - 1) / kPageSize;
    if (pages > frame_statistics().total) return Error(ENOMEM);
    RefPtr<SharedMemory> memory = TRY(make_ref<SharedMemory>(pages * kPageSize));
    return make_ref<SharedSegment>(size, std::move(memory));
}

void SharedSegment::note_attach() {
    attachments++;
    attach_time = ipc_time();
    last_pid = ipc_pid();
}

void SharedSegment::note_detach() {
    attachments--;
    detach_time = ipc_time();
    last_pid = ipc_pid();
    if (attachments == 0 && to_be_removed && !removed) shared_segments().remove(*this);
}

void SharedSegment::remove() {
    to_be_removed = true;
    key = IPC_PRIVATE;
    if (attachments == 0) shared_segments().remove(*this);
}

// Linux shows the key as the name of a file in its internal tmpfs, and the identifier as its inode.
void SegmentAttachment::describe(char* buffer, size_t size, uint32_t* device_major,
                                 uint32_t* device_minor, uint64_t* inode) {
    *device_major = 0;
    *device_minor = 1;
    *inode = static_cast<uint32_t>(segment_->id);
    TextLine<40> name;
    name.put("/SYSV").put_hex(static_cast<uint32_t>(segment_->key), 8).put(" (deleted)");
    const size_t length = std::min(size - 1, name.view().size());
    memcpy(buffer, name.view().data(), length);
    buffer[length] = '\0';
}

}  // namespace coracle
