#include "libposix/net/socket.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "kernel-min/lib/panic.h"
#include "kernel-min/lib/text_line.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/files/events/epoll.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {
namespace {

constexpr int kFamilyCount = 46;  // AF_MAX of Linux 6.1
SocketFamily families[kFamilyCount];
InterfaceIoctl interface_ioctl = nullptr;

bool is_interface_ioctl(uint32_t command) {
    return command >= SIOCADDRT && command < SIOCPROTOPRIVATE;
}

Result<long> answer(uint64_t address, Result<size_t> count) {
    const auto value = static_cast<int>(TRY(std::move(count)));
    TRY(UserOut<int>(address).write(value));
    return 0;
}

}  // namespace

Deadline SocketWait::deadline() {
    if (timeout_ns_ == kNoTimeout) return Deadline::never();
    if (deadline_ns_ == 0) deadline_ns_ = Deadline::after(timeout_ns_).monotonic_ns;
    return Deadline{deadline_ns_};
}

int SocketWait::translate(int error) const {
    if (error == ETIMEDOUT) return EAGAIN;
    // A restart would begin with the whole time again.
    if (error == kErestartsys && timeout_ns_ != kNoTimeout) return EINTR;
    return error;
}

Result<void> Socket::bind(const SocketAddress&) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::connect(const SocketAddress&, bool) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::listen(unsigned) {
    return Error(EOPNOTSUPP);
}
Result<RefPtr<Socket>> Socket::accept(bool, uint32_t) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::shutdown(int) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::local_address(SocketAddress&) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::peer_address(SocketAddress&) {
    return Error(EOPNOTSUPP);
}
Result<size_t> Socket::send(SendMessage&) {
    return Error(EOPNOTSUPP);
}
Result<size_t> Socket::receive(ReceiveMessage&) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::set_option(int, int, UserIn<char>, unsigned) {
    return Error(EOPNOTSUPP);
}
Result<void> Socket::get_option(int, int, const OptionWriter&) {
    return Error(EOPNOTSUPP);
}

Result<size_t> Socket::read(IoBuffer& to, uint64_t&) {
    if (to.is_empty()) return size_t{0};  // no message is consumed
    const bool dont_wait = is_nonblocking() || (to.flags & RWF_NOWAIT);
    ReceiveMessage message{.data = to, .flags = dont_wait ? uint32_t{MSG_DONTWAIT} : 0};
    return receive(message);
}

Result<size_t> Socket::write(IoBuffer& from, uint64_t&) {
    const bool dont_wait = is_nonblocking() || (from.flags & RWF_NOWAIT);
    SendMessage message{.data = from, .flags = dont_wait ? uint32_t{MSG_DONTWAIT} : 0};
    if (from.flags & IoBuffer::kMoreToCome) message.flags |= MSG_MORE;
    if (type() == SOCK_SEQPACKET) message.flags |= MSG_EOR;
    return send(message);
}

Result<long> Socket::ioctl(uint32_t command, uint64_t argument) {
    switch (command) {
        case FIONREAD:
            return answer(argument, bytes_to_receive());
        case SIOCOUTQ:
            return answer(argument, bytes_to_send());
        case FIOSETOWN:
        case SIOCSPGRP:
            TRY(set_file_owner(*this, TRY(UserIn<int>(argument).read())));
            return 0;
        case FIOGETOWN:
        case SIOCGPGRP:
            TRY(UserOut<int>(argument).write(file_owner_number(*this)));
            return 0;
    }
    if (interface_ioctl && is_interface_ioctl(command)) return interface_ioctl(command, argument);
    return Error(ENOTTY);
}

bool Socket::should_settle(const WaitQueue& queue) {
    const uint32_t cpu = current_cpu()->id;
    if (home == cpu) return false;
    const bool is_watched_here = first_epoll_item && first_epoll_item->owner.home == cpu;
    if (!is_watched_here && !home_search_.note_use()) return false;
    return queue.all_of([cpu](const WaitEntry& entry) {
        return entry.wake == WaitEntry::wake_thread || EpollItem::is_at_home(entry, cpu);
    });
}

void Socket::use_lock(bool is_plain) {
    if (!holds_lock_locally()) {
        settle();
    } else if (!is_plain) {
        become_alone_now();
    }
}

Error broken_pipe(uint32_t message_flags) {
    become_alone();
    if (!(message_flags & MSG_NOSIGNAL)) send_kernel_signal_to_thread(*current_thread(), kSigPipe);
    return Error(EPIPE);
}

Result<SocketPlace> make_socket_place() {
    SocketPlace place;
    place.inode = TRY(make_anonymous_inode(S_IFSOCK | 0777));
    TextLine<40> name;
    name.put("socket:[").put_decimal(place.inode->number).put(']');
    place.path = TRY(make_anonymous_path(name.view(), place.inode));
    return place;
}

void register_socket_family(const SocketFamily& family) {
    ASSERT(family.family > 0 && family.family < kFamilyCount && family.create);
    families[family.family] = family;
}

const SocketFamily* find_socket_family(int family) {
    if (family < 0 || family >= kFamilyCount || !families[family].create) return nullptr;
    return &families[family];
}

void set_interface_ioctl(InterfaceIoctl handler) {
    interface_ioctl = handler;
}

}  // namespace coracle
