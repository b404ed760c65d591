#include "libposix/files/events/inotify.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <new>

#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {
namespace {

constexpr uint32_t kWatchBits = IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK;

}  // namespace

void InotifyWatch::on_event(const Event& event) {
    if (event.is_unlinked && (mask & IN_EXCL_UNLINK)) return;
    // Nobody says of itself that it is a directory when it moves or goes.
    uint32_t bits = event.bits;
    if (bits & (IN_MOVE_SELF | IN_DELETE_SELF)) bits &= ~static_cast<uint32_t>(IN_ISDIR);
    owner.queue(descriptor, bits, event.cookie, event.name);
    if (mask & IN_ONESHOT) owner.end(*this);
}

void InotifyWatch::on_inode_gone() {
    owner.end(*this);
}

InotifyFile::InotifyFile(const Path& path, RefPtr<Inode> inode, uint32_t flags)
    : AnonymousFile(path, std::move(inode), flags) {
    kind_ = kKind;
    instances_++;
    overflow_.head = {.wd = -1, .mask = IN_Q_OVERFLOW, .cookie = 0, .len = 0};
}

InotifyFile::~InotifyFile() {
    instances_--;
    watches_.clear_and_dispose([](InotifyWatch* watch) { delete watch; });
    events_.clear_and_dispose([this](QueuedEvent* event) {
        if (event != &overflow_) delete event;
    });
}

Result<int> InotifyFile::watch(RefPtr<Inode> inode, uint32_t mask) {
    for (InodeWatch* watch = inode->first_watch; watch; watch = watch->next_of_inode()) {
        auto* own = static_cast<InotifyWatch*>(watch);  // there are no others
        if (&own->owner != this) continue;
        if (mask & IN_MASK_CREATE) return Error(EEXIST);
        own->mask = (mask & IN_MASK_ADD ? own->mask : 0) | (mask & kWatchBits);
        return own->descriptor;
    }
    if (inode_watch_count >= kMaxInotifyWatches) return Error(ENOSPC);
    auto* made = new (std::nothrow)
        InotifyWatch(*this, std::move(inode), last_descriptor_ + 1, mask & kWatchBits);
    if (!made) return Error(ENOMEM);
    watches_.insert(*made);
    return ++last_descriptor_;
}

Result<void> InotifyFile::unwatch(int descriptor) {
    auto found = watches_.find(descriptor, [](const auto& a, const auto& b) {
        constexpr auto number = [](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, int>) {
                return value;
            } else {
                return value.descriptor;
            }
        };
        return number(a) < number(b);
    });
    if (found == watches_.end()) return Error(EINVAL);
    end(*found);
    return {};
}

void InotifyFile::end(InotifyWatch& watch) {
    queue(watch.descriptor, IN_IGNORED, 0, {});
    watches_.erase(watches_.iterator_to(watch));
    delete &watch;
}

bool InotifyFile::is_repetition(int descriptor, uint32_t bits, std::string_view name) const {
    if (events_.empty()) return false;
    const QueuedEvent& last = events_.back();
    return last.head.wd == descriptor && last.head.mask == bits && bits != IN_IGNORED &&
           last.text() == name;
}

std::unique_ptr<InotifyFile::QueuedEvent> InotifyFile::make_event(int descriptor, uint32_t bits,
                                                                  uint32_t cookie,
                                                                  std::string_view name) {
    constexpr size_t kUnit = sizeof(inotify_event);
    std::unique_ptr<QueuedEvent> event(new (std::nothrow) QueuedEvent);
    if (!event) return nullptr;
    const size_t length = name.empty() ? 0 : (name.size() / kUnit + 1) * kUnit;
    event->head = {
        .wd = descriptor, .mask = bits, .cookie = cookie, .len = static_cast<uint32_t>(length)};
    if (length != 0) {
        event->name.reset(new (std::nothrow) char[length]());
        if (!event->name) return nullptr;
        std::copy_n(name.data(), name.size(), event->name.get());
    }
    return event;
}

void InotifyFile::queue_overflow() {
    if (!overflow_.is_linked()) events_.push_back(overflow_);
}

void InotifyFile::queue(int descriptor, uint32_t bits, uint32_t cookie, std::string_view name) {
    if (events_.size() >= kMaxInotifyEvents) {
        queue_overflow();
    } else if (!is_repetition(descriptor, bits, name)) {
        if (auto event = make_event(descriptor, bits, cookie, name)) {
            events_.push_back(*event.release());
        } else {
            queue_overflow();
        }
    }
    arrivals_.wake_one(POLLIN | POLLRDNORM);
}

Result<size_t> InotifyFile::read(IoBuffer& to, uint64_t&) {
    if (events_.empty()) {
        if (is_nonblocking()) return Error(EAGAIN);
        TRY(wait_until(arrivals_, Deadline::never(), [&] { return !events_.empty(); }));
    }
    size_t done = 0;
    while (!events_.empty()) {
        QueuedEvent& event = events_.front();
        if (event.size() > to.size()) {
            if (done == 0) return Error(EINVAL);
            break;
        }
        // The copy may sleep, and others read meanwhile. What cannot be copied is lost.
        events_.pop_front();
        std::unique_ptr<QueuedEvent> owned(&event != &overflow_ ? &event : nullptr);
        const size_t size = event.size();
        size_t moved = to.copy_out(&event.head, sizeof(event.head));
        if (event.head.len != 0) moved += to.copy_out(event.name.get(), event.head.len);
        if (moved != size) return Error(EFAULT);
        done += size;
    }
    return done;
}

Result<long> InotifyFile::ioctl(uint32_t command, uint64_t argument) {
    if (command != FIONREAD) return Error(ENOTTY);
    size_t bytes = 0;
    for (const QueuedEvent& event : events_) bytes += event.size();
    TRY(UserOut<int>(argument).write(static_cast<int>(bytes)));
    return 0;
}

void InotifyFile::describe_state(TextBuffer& to) {
    for (const InotifyWatch& watch : watches_) {
        to.print("inotify wd:%x ino:%lx sdev:%lx mask:%x ignored_mask:0 \n", watch.descriptor,
                 watch.inode().number, watch.inode().file_system().device, watch.mask);
    }
}

}  // namespace coracle
