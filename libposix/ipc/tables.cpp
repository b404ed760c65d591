// /proc/sysvipc/{msg,sem,shm}, in Linux's columns.
#include "libposix/ipc/ipc.h"
#include "libposix/ipc/message_queue.h"
#include "libposix/ipc/semaphore_set.h"
#include "libposix/ipc/shared_segment.h"

namespace coracle {
namespace {

template <typename T, typename Show>
void for_each_object(const IpcTable<T>& table, Show show) {
    const int last = table.last_index();
    for (int i = 0; i <= last; i++) {
        if (const T* object = table.at_index(static_cast<unsigned>(i))) show(*object);
    }
}

}  // namespace

void show_message_queues(TextBuffer& to) {
    to.add(
        "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid"
        "      stime      rtime      ctime\n");
    for_each_object(message_queues(), [&](const MessageQueue& queue) {
        to.print("%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lu %10lu %10lu\n",
                 queue.key, queue.id, queue.mode, queue.bytes(), queue.count(),
                 static_cast<unsigned>(queue.last_sender),
                 static_cast<unsigned>(queue.last_receiver), queue.uid, queue.gid,
                 queue.creator_uid, queue.creator_gid, static_cast<uint64_t>(queue.send_time),
                 static_cast<uint64_t>(queue.receive_time),
                 static_cast<uint64_t>(queue.change_time));
    });
}

void show_semaphore_sets(TextBuffer& to) {
    to.add(
        "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
    for_each_object(semaphore_sets(), [&](const SemaphoreSet& set) {
        to.print("%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", set.key, set.id, set.mode,
                 set.count(), set.uid, set.gid, set.creator_uid, set.creator_gid,
                 static_cast<uint64_t>(set.operate_time), static_cast<uint64_t>(set.change_time));
    });
}

void show_shared_memory(TextBuffer& to) {
    to.add(
        "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid"
        "  cgid      atime      dtime      ctime                   rss                  swap\n");
    for_each_object(shared_segments(), [&](const SharedSegment& segment) {
        constexpr uint32_t kShmDest = 01000, kShmLocked = 02000;
        const uint32_t mode = segment.mode | (segment.to_be_removed ? kShmDest : 0) |
                              (segment.is_locked ? kShmLocked : 0);
        to.print(
            "%10d %10d  %4o %21lu %5u %5u  %5u %5u %5u %5u %5u %10lu %10lu %10lu %21lu %21d\n",
            segment.key, segment.id, mode, segment.size, static_cast<unsigned>(segment.creator_pid),
            static_cast<unsigned>(segment.last_pid), segment.attachments, segment.uid, segment.gid,
            segment.creator_uid, segment.creator_gid, static_cast<uint64_t>(segment.attach_time),
            static_cast<uint64_t>(segment.detach_time), static_cast<uint64_t>(segment.change_time),
            segment.memory->resident_pages() * kPageSize, 0);
    });
}

}  // namespace coracle
