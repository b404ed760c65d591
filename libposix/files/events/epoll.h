// epoll(7): the files that somebody watches, and the list of those that may be ready.
//
// An item stands in the wait queue of its file and in the file's list of items; a wake-up puts it
// into the ready list. epoll_wait(2) takes items from there and asks each file again, so it costs
// what is ready, however much is watched. An item does not hold its file: the last close of the
// file removes it. Nothing here sleeps but the copy of the events to the application.
#pragma once

#include <sys/epoll.h>

#include <boost/intrusive/list.hpp>
#include <boost/intrusive/set.hpp>

#include "kernel-min/lib/user_ptr.h"
#include "libposix/files/events/anonymous_file.h"
#include "libposix/files/home.h"

namespace coracle {

class EpollFile;

class EpollItem : public WaitEntry,
                  public boost::intrusive::set_base_hook<
                      boost::intrusive::link_mode<boost::intrusive::safe_link>> {
  public:
    EpollItem(EpollFile& owner, File& file, int fd);
    ~EpollItem();

    using ReadyHook = boost::intrusive::list_member_hook<
        boost::intrusive::link_mode<boost::intrusive::safe_link>>;
    ReadyHook ready_hook;

    // Sets what is asked for; once more after it was reported with EPOLLONESHOT.
    void ask(const epoll_event& event);
    // What holds now, of what is asked for.
    uint32_t ready_events() const { return file.poll_events() & events; }
    // Whether the entry is an item of an epoll with this home.
    static bool is_at_home(const WaitEntry& entry, uint32_t cpu);
    bool has_flag(uint32_t flag) const { return (asked.events & flag) != 0; }
    void disarm() { events = 0; }

    bool operator<(const EpollItem& other) const {
        return fd != other.fd ? fd < other.fd : &file < &other.file;
    }

    EpollFile& owner;
    File& file;
    const int fd;       // the number at EPOLL_CTL_ADD
    epoll_event asked;  // WaitEntry::events has what is asked for without the flags
    EpollItem* next_of_file;

  private:
    static bool on_wake(WaitEntry& entry, uint32_t events);
};

class EpollFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kEpoll;

    EpollFile(const Path& path, RefPtr<Inode> inode, uint32_t flags)
        : AnonymousFile(path, std::move(inode), flags) {
        kind_ = kKind;
    }
    ~EpollFile() override;

    // epoll_ctl(2) behind its checks of the descriptors. EEXIST, ENOENT, ENOMEM; ELOOP and
    // EINVAL for epolls in epolls; EINVAL for an exclusive item that is modified.
    Result<void> add(File& file, int fd, const epoll_event& event);
    Result<void> modify(File& file, int fd, const epoll_event& event);
    Result<void> remove(File& file, int fd);
    void remove(EpollItem& item);

    // epoll_wait(2) of a caller that keeps the file: the number of events written, 0 when the time
    // has passed. EINTR, EFAULT.
    Result<long> wait(UserOut<epoll_event> to, size_t count, Deadline deadline);

    uint32_t poll_events() override;
    WaitQueue* wait_queue() override {
        leave_home();  // who watches it may belong to any CPU
        return &pollers_;
    }
    bool can_poll() override { return true; }
    // With it, what it watches: that may wake nothing but what belongs to its own home.
    void leave_home() override;
    void describe_state(TextBuffer& to) override;

    // For nesting.cpp.
    template <typename Function>
    void for_each_item(Function function) {
        for (EpollItem& item : items_) function(item);
    }

  private:
    friend EpollItem;
    struct Batch;
    EpollItem* find(const File& file, int fd);
    void make_ready(EpollItem& item);
    void settle();
    bool is_home_of_ready() const;
    void note_if_ready(EpollItem& item);
    size_t gather(Batch& batch, size_t count, size_t& candidates);
    void take_back(const Batch& batch, size_t first);
    Result<long> sleep(UserOut<epoll_event> to, size_t count, Deadline deadline);
    Result<size_t> report(UserOut<epoll_event> to, size_t count);

    boost::intrusive::set<EpollItem> items_;
    boost::intrusive::list<EpollItem, boost::intrusive::member_hook<EpollItem, EpollItem::ReadyHook,
                                                                    &EpollItem::ready_hook>>
        ready_;
    HomeSearch home_search_;
    WaitQueue waiters_;  // in epoll_wait
    WaitQueue pollers_;  // in poll, and epolls that watch this one
};

// Takes a file that is going away out of every epoll. Called by its destructor.
void forget_epoll_items(File& file);

// Whether `watcher` may watch `file`: at most five epolls in a row and no circles (ELOOP), and no
// more ways up from any file than Linux allows (EINVAL).
Result<void> check_epoll_nesting(EpollFile& watcher, File& file);

}  // namespace coracle
