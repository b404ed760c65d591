#include "libposix/fs/notify.h"

#include <sys/inotify.h>

namespace coracle {

uint32_t inode_watch_count;

InodeWatch::InodeWatch(RefPtr<Inode> inode, uint32_t watch_mask)
    : mask(watch_mask), next_(inode->first_watch), inode_(std::move(inode)) {
    inode_->first_watch = this;
    inode_watch_count++;
}

InodeWatch::~InodeWatch() {
    InodeWatch** link = &inode_->first_watch;
    while (*link != this) link = &(*link)->next_;
    *link = next_;
    inode_watch_count--;
}

namespace {

void tell(Inode& inode, const InodeWatch::Event& event) {
    for (InodeWatch* watch = inode.first_watch; watch;) {
        InodeWatch* next = watch->next_of_inode();
        if (watch->mask & event.bits & IN_ALL_EVENTS) watch->on_event(event);
        watch = next;
    }
}

uint32_t directory_bit(const Inode& inode) {
    return inode.is_directory() ? static_cast<uint32_t>(IN_ISDIR) : 0;
}

}  // namespace

namespace notify_detail {

void tell_inode(Inode& inode, const InodeWatch::Event& event) {
    InodeWatch::Event all = event;
    all.bits |= directory_bit(inode);
    RefPtr<Inode> keep(&inode);  // a watch may hold it alone
    tell(inode, all);
}

void tell_dentry(const Dentry& dentry, uint32_t events, bool is_open_file) {
    Inode& inode = dentry.inode();
    if (Dentry* parent = dentry.parent()) {
        tell(parent->inode(), {.bits = events | directory_bit(inode),
                               .name = dentry.name(),
                               .is_unlinked = is_open_file && dentry.is_deleted()});
    }
    tell_inode(inode, {events});
}

void tell_move(Inode& from, std::string_view old_name, const Dentry& moved, Inode* replaced) {
    static uint32_t last_cookie;
    const uint32_t cookie = ++last_cookie;
    Inode& inode = moved.inode();
    const uint32_t type = directory_bit(inode);
    tell(from, {.bits = IN_MOVED_FROM | type, .cookie = cookie, .name = old_name});
    tell(moved.parent()->inode(),
         {.bits = IN_MOVED_TO | type, .cookie = cookie, .name = moved.name()});
    if (replaced) tell_inode(*replaced, {IN_ATTRIB});
    tell(inode, {IN_MOVE_SELF});
}

void tell_removal(Inode& inode) {
    RefPtr<Inode> keep(&inode);
    tell(inode, {IN_DELETE_SELF});
    while (InodeWatch* watch = inode.first_watch) watch->on_inode_gone();
}

}  // namespace notify_detail

void notify_name(Inode& directory, std::string_view name, uint32_t events, const Inode& named) {
    if (inode_watch_count == 0) return;
    tell(directory, {.bits = events | directory_bit(named), .name = name});
}

}  // namespace coracle
