// mq_open, mq_unlink, mq_timedsend, mq_timedreceive, mq_notify, mq_getsetattr.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/memory/heap.h"
#include "libposix/files/path_argument.h"
#include "libposix/fs/permission.h"
#include "libposix/ipc/posix_queue.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// A name and its queue; the path's inode has the owner and the permissions.
struct NamedQueue : boost::intrusive::list_base_hook<> {
    Path path;
    RefPtr<PosixQueue> queue;
    std::string_view name() const { return path.dentry->name().substr(1); }
};

class NamedQueues {
  public:
    NamedQueue* find(std::string_view name) {
        for (NamedQueue& each : list_) {
            if (each.name() == name) return &each;
        }
        return nullptr;
    }
    // ENOSPC: too many.
    Result<void> check_room() const {
        const bool may_have_more = current_credentials().has_capability(kCapSysResource);
        if (count_ >= PosixQueue::kMaxQueues && !may_have_more) return Error(ENOSPC);
        return {};
    }
    void add(std::unique_ptr<NamedQueue> queue) {
        list_.push_back(*queue.release());
        count_++;
    }
    void remove(NamedQueue& queue) {
        list_.erase(list_.iterator_to(queue));
        count_--;
        delete &queue;
    }

  private:
    boost::intrusive::list<NamedQueue> list_;
    size_t count_ = 0;
};

NamedQueues& named_queues() {
    static NamedQueues queues;
    return queues;
}

const Credentials& credentials() {
    return current_credentials();
}

// The C library has taken the first slash off.
class QueueName {
  public:
    Result<std::string_view> read(UserIn<char> from) {
        const std::string_view name =
            TRY(read_string(from, text_ + 1, sizeof(text_) - 1, ENAMETOOLONG));
        if (name.empty()) return Error(ENOENT);
        if (name.find('/') != name.npos || name == "." || name == "..") return Error(EACCES);
        return name;
    }
    // With the slash, as /proc/self/fd shows it.
    std::string_view path(std::string_view name) const { return {text_, name.size() + 1}; }

  private:
    char text_[kMaxName + 2] = {'/'};
};

// EINVAL; EMFILE: more memory than RLIMIT_MSGQUEUE.
Result<void> check_attributes(const mq_attr& wanted) {
    const bool privileged = credentials().has_capability(kCapSysResource);
    if (wanted.mq_maxmsg <= 0 || wanted.mq_msgsize <= 0) return Error(EINVAL);
    const long max_messages = privileged ? PosixQueue::kHardMaxMessages : PosixQueue::kMaxMessages;
    const long max_size = privileged ? PosixQueue::kHardMaxSize : PosixQueue::kMaxSize;
    if (wanted.mq_maxmsg > max_messages || wanted.mq_msgsize > max_size) return Error(EINVAL);
    constexpr uint64_t kMessageOverhead = 48 + 8;  // struct msg_msg and the tree's leaf
    const auto bytes = static_cast<uint64_t>(wanted.mq_maxmsg) *
                       (static_cast<uint64_t>(wanted.mq_msgsize) + kMessageOverhead);
    if (bytes > current_process()->limits.soft(Resource::kMessageQueues)) return Error(EMFILE);
    return {};
}

Result<NamedQueue*> create_queue(const QueueName& names, std::string_view name, unsigned mode,
                                 UserIn<mq_attr> attributes) {
    mq_attr wanted = {};
    wanted.mq_maxmsg = PosixQueue::kDefaultMessages;
    wanted.mq_msgsize = PosixQueue::kDefaultSize;
    if (attributes) wanted = TRY(attributes.read());
    TRY(named_queues().check_room());
    TRY(check_attributes(wanted));
    auto named = TRY(make_unique_object<NamedQueue>());
    named->queue = TRY(make_ref<PosixQueue>(wanted.mq_maxmsg, wanted.mq_msgsize));
    const uint32_t permissions = mode & 07777 & ~current_process()->file_system->umask;
    RefPtr<Inode> inode = TRY(make_anonymous_inode(S_IFREG | permissions));
    named->path = TRY(make_anonymous_path(names.path(name), std::move(inode)));
    NamedQueue* added = named.get();
    named_queues().add(std::move(named));
    return added;
}

Result<RefPtr<PosixQueueFile>> get_queue(int fd) {
    BorrowedFile file = current_process()->descriptors->borrow(fd);
    if (!file) return Error(EBADF);
    PosixQueueFile* queue = file_as<PosixQueueFile>(*file);
    if (!queue) return Error(EBADF);
    return RefPtr<PosixQueueFile>(queue);
}

// An absolute time of the wall clock; null waits for ever.
Result<Deadline> read_deadline(UserIn<timespec> timeout) {
    if (!timeout) return Deadline::never();
    const timespec time = TRY(timeout.read());
    if (!is_valid(time)) return Error(EINVAL);
    const uint64_t offset = realtime_ns() - monotonic_ns();
    const uint64_t ns = to_ns(time);
    return Deadline{ns > offset ? ns - offset : 0};
}

}  // namespace

Result<long> sys_mq_open(UserIn<char> user_name, int flags, unsigned mode,
                         UserIn<mq_attr> attributes) {
    if (attributes) TRY(attributes.read());  // EFAULT comes before all else
    QueueName names;
    const std::string_view name = TRY(names.read(user_name));
    NamedQueue* found = named_queues().find(name);
    if (found) {
        if ((flags & O_CREAT) && (flags & O_EXCL)) return Error(EEXIST);
        constexpr uint32_t kWanted[] = {kMayRead, kMayWrite, kMayRead | kMayWrite};
        const auto access = static_cast<unsigned>(flags & O_ACCMODE);
        if (access == O_ACCMODE) return Error(EINVAL);
        TRY(check_permission(found->path.inode(), kWanted[access], credentials()));
    } else {
        if (!(flags & O_CREAT)) return Error(ENOENT);
        found = TRY(create_queue(names, name, mode, attributes));
    }
    const auto file_flags = static_cast<uint32_t>(flags & (O_ACCMODE | O_NONBLOCK));
    RefPtr<PosixQueueFile> file = TRY(make_ref<PosixQueueFile>(
        found->path, found->path.dentry->inode_ref(), file_flags, found->queue));
    return install_descriptor(std::move(file), O_CLOEXEC);  // always, on Linux
}

Result<long> sys_mq_unlink(UserIn<char> user_name) {
    QueueName names;
    const std::string_view name = TRY(names.read(user_name));
    NamedQueue* found = named_queues().find(name);
    if (!found) return Error(ENOENT);
    // The directory is everybody's and sticky.
    if (!is_owner_or_capable(found->path.inode(), credentials())) return Error(EPERM);
    named_queues().remove(*found);
    return 0;
}

Result<long> sys_mq_timedsend(int fd, UserIn<char> message, size_t length, unsigned priority,
                              UserIn<timespec> timeout) {
    const Deadline deadline = TRY(read_deadline(timeout));
    if (priority >= PosixQueue::kMaxPriority) return Error(EINVAL);
    RefPtr<PosixQueueFile> file = TRY(get_queue(fd));
    if (!file->is_writable()) return Error(EBADF);
    PosixQueue& queue = file->queue();
    if (length > static_cast<size_t>(queue.max_size)) return Error(EMSGSIZE);
    auto copy = TRY(make_unique_object<PosixQueue::Message>());
    copy->text.reset(new (std::nothrow) char[std::max<size_t>(length, 1)]);
    if (!copy->text) return Error(ENOMEM);
    TRY(message.read_array(copy->text.get(), length));
    copy->size = length;
    copy->priority = priority;
    TRY(queue.send(std::move(copy), file->is_nonblocking(), deadline));
    return 0;
}

Result<long> sys_mq_timedreceive(int fd, UserOut<char> message, size_t length,
                                 UserOut<unsigned> priority, UserIn<timespec> timeout) {
    const Deadline deadline = TRY(read_deadline(timeout));
    RefPtr<PosixQueueFile> file = TRY(get_queue(fd));
    if (!file->is_readable()) return Error(EBADF);
    PosixQueue& queue = file->queue();
    if (length < static_cast<size_t>(queue.max_size)) return Error(EMSGSIZE);
    auto received = TRY(queue.receive(file->is_nonblocking(), deadline));
    if (priority) TRY(priority.write(received->priority));
    TRY(message.write_array(received->text.get(), received->size));
    return static_cast<long>(received->size);
}

Result<long> sys_mq_notify(int fd, UserIn<struct sigevent> event) {
    struct sigevent wanted = {};
    if (event) {
        wanted = TRY(event.read());
        const int kind = wanted.sigev_notify;
        // SIGEV_THREAD names a netlink socket, which the C library makes for it.
        if (kind != SIGEV_NONE && kind != SIGEV_SIGNAL) return Error(EINVAL);
        if (kind == SIGEV_SIGNAL && !is_valid_signal(wanted.sigev_signo)) return Error(EINVAL);
    }
    RefPtr<PosixQueueFile> file = TRY(get_queue(fd));
    Process& process = *current_process();
    if (!event) {
        file->queue().clear_notification(process);
        return 0;
    }
    TRY(file->queue().set_notification(process, wanted));
    return 0;
}

Result<long> sys_mq_getsetattr(int fd, UserIn<mq_attr> attributes, UserOut<mq_attr> old) {
    mq_attr wanted = {};
    if (attributes) {
        wanted = TRY(attributes.read());
        if (wanted.mq_flags & ~O_NONBLOCK) return Error(EINVAL);
    }
    RefPtr<PosixQueueFile> file = TRY(get_queue(fd));
    mq_attr answer = {};
    answer.mq_flags = file->flags & O_NONBLOCK;
    answer.mq_maxmsg = file->queue().max_messages;
    answer.mq_msgsize = file->queue().max_size;
    answer.mq_curmsgs = file->queue().count();
    if (attributes) {
        const auto flags = static_cast<uint32_t>(wanted.mq_flags);
        file->flags = (file->flags & ~uint32_t{O_NONBLOCK}) | flags;
    }
    if (old) TRY(old.write(answer));
    return 0;
}

}  // namespace coracle
