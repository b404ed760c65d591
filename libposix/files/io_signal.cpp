#include "libposix/files/io_signal.h"

#include <poll.h>

#include <climits>
#include <memory>
#include <new>

#include "libposix/files/file.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

// What a file tells of: si_code, and si_band in the bits of poll(2).
struct Reason {
    uint32_t events;
    int32_t code;
    uint32_t band;
};
constexpr Reason kReasons[] = {
    {POLLHUP, kPollHup, POLLHUP | POLLERR},
    {POLLERR, kPollErr, POLLERR},
    {POLLPRI, kPollPri, POLLPRI | POLLRDBAND},
    {POLLIN, kPollIn, POLLIN | POLLRDNORM},
    {POLLOUT, kPollOut, POLLOUT | POLLWRNORM | POLLWRBAND},
};

// An end of a pipe tells of the other one's close as of data, or of room.
uint32_t events_to_tell(File& file, uint32_t events) {
    if (events == kAnyEvents) events = file.poll_events();
    if (!file.pipe()) return events;
    if (events & (POLLHUP | POLLERR)) events |= POLLIN | POLLOUT;
    return events & ((file.is_readable() ? POLLIN : 0u) | (file.is_writable() ? POLLOUT : 0u));
}

bool is_group_of(const Process& process, int32_t id) {
    return static_cast<uint32_t>(id) == process.process_group;
}

// The process's oldest thread stands for all.
Thread* find_owner(const FileOwner& owner) {
    if (owner.type != FileOwner::kGroup) return find_thread(static_cast<uint32_t>(owner.id));
    return is_group_of(*current_process(), owner.id) ? current_thread() : nullptr;
}

Result<void> send_to(const FileOwner& owner, const SignalInfo& info) {
    Thread* thread = find_owner(owner);
    if (!thread) return {};
    if (owner.type == FileOwner::kThread) return send_signal_to_thread(*thread, info);
    return send_signal(*thread->process, info);
}

void send_plain(const FileOwner& owner, int signo) {
    SignalInfo info;
    info.signo = signo;
    info.code = kSiKernel;
    (void)send_to(owner, info);
}

}  // namespace

IoSignal::IoSignal(File& file, int fd) : entry_(*this), file_(file), fd_(fd) {
    file.wait_queue()->add(entry_);
}

// It takes no wake-up away from those who wait.
bool IoSignal::on_wake(WaitEntry& wait_entry, uint32_t events) {
    const IoSignal& signal = static_cast<Entry&>(wait_entry).signal;
    signal.send(events_to_tell(signal.file_, events));
    return false;
}

void IoSignal::send(uint32_t events) const {
    const FileOwner& owner = file_.owner;
    if (owner.id == 0) return;
    for (const Reason& reason : kReasons) {
        if (!(events & reason.events)) continue;
        SignalInfo info;
        info.signo = file_.owner_signal;
        info.code = reason.code;
        info.poll = {reason.band, fd_};
        // Without F_SETSIG, or when no more can be queued, a plain SIGIO.
        if (info.signo != 0 && send_to(owner, info).ok()) return;
        send_plain(owner, kSigIo);
        return;
    }
}

void send_urgent_signal(const File& file) {
    if (file.owner.id != 0) send_plain(file.owner, kSigUrg);
}

Result<void> set_io_signal(File& file, int fd, bool on) {
    if (!on) {
        file.io_signal.reset();
        file.flags &= ~uint32_t{O_ASYNC};
        return {};
    }
    file.io_signal.reset(new (std::nothrow) IoSignal(file, fd));
    if (!file.io_signal) return Error(ENOMEM);
    file.flags |= O_ASYNC;
    return {};
}

Result<void> set_file_owner(File& file, FileOwner owner) {
    if (owner.id != 0 && !find_owner(owner)) return Error(ESRCH);
    file.owner = owner;
    return {};
}

Result<void> set_file_owner(File& file, int32_t number) {
    if (number == INT_MIN) return Error(EINVAL);
    if (number < 0) return set_file_owner(file, {FileOwner::kGroup, -number});
    return set_file_owner(file, {FileOwner::kProcess, number});
}

int32_t file_owner_number(const File& file) {
    return file.owner.type == FileOwner::kGroup ? -file.owner.id : file.owner.id;
}

}  // namespace coracle
