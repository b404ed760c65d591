#include "libposix/files/events/epoll.h"

#include <algorithm>
#include <new>

#include "kernel-min/sched/kernel_lock.h"
#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {
namespace {

constexpr uint32_t kFlags = EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE;

}  // namespace

EpollItem::EpollItem(EpollFile& owner_in, File& file_in, int fd_in)
    : WaitEntry(on_wake),
      owner(owner_in),
      file(file_in),
      fd(fd_in),
      next_of_file(file_in.first_epoll_item) {
    file.first_epoll_item = this;
}

EpollItem::~EpollItem() {
    EpollItem** link = &file.first_epoll_item;
    while (*link != this) link = &(*link)->next_of_file;
    *link = next_of_file;
}

void EpollItem::ask(const epoll_event& event) {
    asked = event;
    events = (event.events & ~kFlags) | EPOLLERR | EPOLLHUP;
}

bool EpollItem::on_wake(WaitEntry& entry, uint32_t events) {
    auto& item = static_cast<EpollItem&>(entry);
    const bool has_waiter = !item.owner.waiters_.is_empty();
    item.owner.make_ready(item);
    if (!item.is_exclusive) return true;
    // It used the wake-up if somebody waits for what has come.
    const uint32_t direction = events & (EPOLLIN | EPOLLOUT);
    return has_waiter && (direction == 0 || (direction & item.events) == direction);
}

bool EpollItem::is_at_home(const WaitEntry& entry, uint32_t cpu) {
    return entry.wake == on_wake && static_cast<const EpollItem&>(entry).owner.home == cpu;
}

EpollFile::~EpollFile() {
    while (!items_.empty()) remove(*items_.begin());
}

void EpollFile::make_ready(EpollItem& item) {
    if (!item.ready_hook.is_linked()) ready_.push_back(item);
    waiters_.wake_one();
    pollers_.wake_all(POLLIN | POLLRDNORM);
}

void EpollFile::note_if_ready(EpollItem& item) {
    if (!item.ready_hook.is_linked() && item.ready_events() != 0) make_ready(item);
}

EpollItem* EpollFile::find(const File& file, int fd) {
    struct Key {
        int fd;
        const File* file;
    };
    struct Compare {
        bool operator()(const Key& key, const EpollItem& item) const {
            return key.fd != item.fd ? key.fd < item.fd : key.file < &item.file;
        }
        bool operator()(const EpollItem& item, const Key& key) const {
            return key.fd != item.fd ? item.fd < key.fd : &item.file < key.file;
        }
    };
    auto found = items_.find(Key{fd, &file}, Compare{});
    return found != items_.end() ? &*found : nullptr;
}

Result<void> EpollFile::add(File& file, int fd, const epoll_event& event) {
    TRY(check_epoll_nesting(*this, file));
    if (find(file, fd)) return Error(EEXIST);
    auto* item = new (std::nothrow) EpollItem(*this, file, fd);
    if (!item) return Error(ENOMEM);
    item->ask(event);
    item->is_exclusive = item->has_flag(EPOLLEXCLUSIVE);
    items_.insert(*item);
    if (WaitQueue* queue = file.wait_queue()) queue->add(*item);
    note_if_ready(*item);
    return {};
}

Result<void> EpollFile::modify(File& file, int fd, const epoll_event& event) {
    EpollItem* item = find(file, fd);
    if (!item) return Error(ENOENT);
    if (item->is_exclusive) return Error(EINVAL);
    item->ask(event);
    note_if_ready(*item);
    return {};
}

Result<void> EpollFile::remove(File& file, int fd) {
    EpollItem* item = find(file, fd);
    if (!item) return Error(ENOENT);
    remove(*item);
    return {};
}

void EpollFile::remove(EpollItem& item) {
    items_.erase(items_.iterator_to(item));
    if (item.ready_hook.is_linked()) ready_.erase(ready_.iterator_to(item));
    delete &item;
}

void forget_epoll_items(File& file) {
    while (EpollItem* item = file.first_epoll_item) item->owner.remove(*item);
}

uint32_t EpollFile::poll_events() {
    while (!ready_.empty()) {
        if (ready_.front().ready_events() != 0) return POLLIN | POLLRDNORM;
        ready_.pop_front();
    }
    return 0;
}

// What goes to the application at once, and what of it must be known if it does not arrive.
struct EpollFile::Batch {
    static constexpr size_t kSize = 32;
    struct Source {
        const File* file;
        int fd;
        uint32_t events;
    };
    size_t count = 0;
    epoll_event events[kSize];
    Source sources[kSize];
};

// Takes up to `count` ready items, of the first `candidates` of the list: those that stay ready
// go to its end, so that all have their turn.
size_t EpollFile::gather(Batch& batch, size_t count, size_t& candidates) {
    batch.count = 0;
    count = std::min(count, Batch::kSize);
    for (; candidates != 0 && batch.count < count && !ready_.empty(); candidates--) {
        EpollItem& item = ready_.front();
        ready_.pop_front();
        const uint32_t events = item.ready_events();
        if (events == 0) continue;
        batch.sources[batch.count] = {&item.file, item.fd, item.events};
        epoll_event& event = batch.events[batch.count++];
        event.events = events;
        event.data = item.asked.data;
        if (item.has_flag(EPOLLONESHOT)) {
            item.disarm();
        } else if (!item.has_flag(EPOLLET)) {
            ready_.push_back(item);
        }
    }
    return batch.count;
}

// The events from `first` on did not reach the application: their items, if they are still there,
// are ready as before.
void EpollFile::take_back(const Batch& batch, size_t first) {
    for (size_t i = batch.count; i-- > first;) {
        EpollItem* item = find(*batch.sources[i].file, batch.sources[i].fd);
        if (!item) continue;
        if (item->events == 0) item->events = batch.sources[i].events;
        if (item->ready_hook.is_linked()) ready_.erase(ready_.iterator_to(*item));
        ready_.push_front(*item);
    }
}

Result<size_t> EpollFile::report(UserOut<epoll_event> to, size_t count) {
    if (holds_lock_locally() && !is_home_of_ready()) become_alone();
    Batch batch;
    size_t done = 0, candidates = ready_.size();
    while (done < count && candidates != 0 && gather(batch, count - done, candidates) != 0) {
        const size_t bytes = batch.count * sizeof(epoll_event);
        const size_t moved = copy_to_user_partial((to + done).address(), batch.events, bytes);
        done += moved / sizeof(epoll_event);
        if (moved == bytes) continue;
        take_back(batch, moved / sizeof(epoll_event));
        if (done == 0) return Error(EFAULT);
        break;
    }
    if (!ready_.empty()) waiters_.wake_one();
    return done;
}

void EpollFile::leave_home() {
    if (home == kNoHome) return;
    for (EpollItem& item : items_) item.file.leave_home();
    home = kNoHome;
}

// Under the lock held alone.
void EpollFile::settle() {
    const uint32_t cpu = current_cpu()->id;
    if (!home_search_.note_use() || home == cpu || !pollers_.is_empty()) return;
    leave_home();
    home = cpu;
}

// Under the lock held locally: whether that is enough to ask what may be ready.
bool EpollFile::is_home_of_ready() const {
    return std::all_of(ready_.begin(), ready_.end(),
                       [this](const EpollItem& item) { return item.file.home == home; });
}

Result<long> EpollFile::wait(UserOut<epoll_event> to, size_t count, Deadline deadline) {
    if (cpu_count > 1 && !holds_lock_locally()) settle();
    if (!ready_.empty()) {
        const size_t reported = TRY(report(to, count));
        if (reported != 0) return static_cast<long>(reported);
    }
    if (deadline.monotonic_ns == 0) return 0;
    return sleep(to, count, deadline);
}

Result<long> EpollFile::sleep(UserOut<epoll_event> to, size_t count, Deadline deadline) {
    // Out of the queue at its wake-up: the next event is for somebody else.
    constexpr WaitEntry::WakeFunction kWakeAndLeave = [](WaitEntry& entry, uint32_t events) {
        entry.unlink();
        return WaitEntry::wake_thread(entry, events);
    };
    WaitEntry entry(kWakeAndLeave);
    entry.is_exclusive = true;
    for (;;) {
        const Result<void> waited =
            wait_with(entry, waiters_, deadline, [this] { return !ready_.empty(); });
        if (entry.is_linked()) entry.unlink();
        // Events that came with a signal or at the last moment go first.
        const size_t reported = ready_.empty() ? 0 : TRY(report(to, count));
        if (reported != 0) return static_cast<long>(reported);
        if (waited.error_code() == ETIMEDOUT) return 0;
        if (!waited.ok()) return Error(EINTR);  // never restarted
    }
}

void EpollFile::describe_state(TextBuffer& to) {
    for (const EpollItem& item : items_) {
        to.print("tfd: %8d events: %8x data: %16lx  pos:%lu ino:%lx sdev:%lx\n", item.fd,
                 item.events | (item.asked.events & kFlags), item.asked.data.u64,
                 item.file.position, item.file.inode().number,
                 item.file.inode().file_system().device);
    }
}

}  // namespace coracle
