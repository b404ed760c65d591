#include "libposix/files/events/poll_waiter.h"

namespace coracle {

uint32_t poll_events_of(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    return file ? file->poll_events() : POLLNVAL;
}

void PollWaiter::watch(int fd, uint32_t events) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return;
    WaitQueue* queue = file->wait_queue();
    if (!queue) return;
    Watch& watch = *next_++;
    watch.file = RefPtr<File>(file.get());
    watch.entry.events = events;
    queue->add(watch.entry);
}

Result<PollTimeout> PollTimeout::read(UserIn<timespec> pointer) {
    if (!pointer) return never();
    const timespec time = TRY(pointer.read());
    if (!is_valid(time)) return Error(EINVAL);
    return after_ns(to_ns(time));
}

}  // namespace coracle
