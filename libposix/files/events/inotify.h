// inotify(7): watches on inodes, and the queue of what happened to them.
#pragma once

#include <sys/inotify.h>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>
#include <memory>

#include "libposix/files/events/anonymous_file.h"
#include "libposix/fs/notify.h"

namespace coracle {

class InotifyFile;

// /proc/sys/fs/inotify.
constexpr uint32_t kMaxInotifyEvents = 16384, kMaxInotifyInstances = 128,
                   kMaxInotifyWatches = 65536;

class InotifyWatch final : public InodeWatch,
                           public boost::intrusive::set_base_hook<
                               boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  public:
    // `mask` with IN_ONESHOT and IN_EXCL_UNLINK.
    InotifyWatch(InotifyFile& owner_in, RefPtr<Inode> inode, int descriptor_in, uint32_t watch_mask)
        : InodeWatch(std::move(inode), watch_mask), owner(owner_in), descriptor(descriptor_in) {}

    void on_event(const Event& event) override;
    void on_inode_gone() override;

    bool operator<(const InotifyWatch& other) const { return descriptor < other.descriptor; }

    InotifyFile& owner;
    const int descriptor;
};

class InotifyFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kInotify;

    InotifyFile(const Path& path, RefPtr<Inode> inode, uint32_t flags);
    ~InotifyFile() override;
    static uint32_t instance_count() { return instances_; }

    // inotify_add_watch(2) on an inode that the caller may read: the watch descriptor. `mask` with
    // IN_MASK_ADD and IN_MASK_CREATE. EEXIST, ENOSPC, ENOMEM.
    Result<int> watch(RefPtr<Inode> inode, uint32_t mask);
    // EINVAL: no such watch.
    Result<void> unwatch(int descriptor);

    Result<size_t> read(IoBuffer& to, uint64_t& position) override;
    Result<long> ioctl(uint32_t command, uint64_t argument) override;
    uint32_t poll_events() override { return events_.empty() ? 0 : POLLIN | POLLRDNORM; }
    WaitQueue* wait_queue() override { return &arrivals_; }
    bool can_signal() override { return true; }
    void describe_state(TextBuffer& to) override;

    // For its watches. The queue may be full, which is an event too.
    void queue(int descriptor, uint32_t bits, uint32_t cookie, std::string_view name);
    // Ends a watch, with IN_IGNORED.
    void end(InotifyWatch& watch);

  private:
    struct EventHead {  // struct inotify_event without its name
        int32_t wd;
        uint32_t mask, cookie, len;
    };
    static_assert(sizeof(EventHead) == sizeof(inotify_event));
    struct QueuedEvent : boost::intrusive::list_base_hook<> {
        EventHead head;
        std::unique_ptr<char[]> name;  // head.len bytes: the text and one NUL or more

        std::string_view text() const { return {name ? name.get() : ""}; }
        size_t size() const { return sizeof(head) + head.len; }
    };
    bool is_repetition(int descriptor, uint32_t bits, std::string_view name) const;
    static std::unique_ptr<QueuedEvent> make_event(int descriptor, uint32_t bits, uint32_t cookie,
                                                   std::string_view name);
    void queue_overflow();

    static inline uint32_t instances_ = 0;

    boost::intrusive::set<InotifyWatch> watches_;
    boost::intrusive::list<QueuedEvent> events_;
    QueuedEvent overflow_;  // its own place, so that there is always room for it
    int last_descriptor_ = 0;
    WaitQueue arrivals_;
};

}  // namespace coracle
