// What happens to files, for those who watch them (inotify(7); the events are its IN_* bits).
// Where nobody watches anything, each of the functions costs a test of a number.
//
// A watched inode's names stay in the dentry cache, so that it stays the same object.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernel-min/lib/ref_ptr.h"
#include "libposix/fs/inode.h"

namespace coracle {

// One who watches an inode, and holds it.
class InodeWatch {
  public:
    InodeWatch(RefPtr<Inode> inode, uint32_t mask);
    InodeWatch(const InodeWatch&) = delete;
    InodeWatch& operator=(const InodeWatch&) = delete;
    virtual ~InodeWatch();

    Inode& inode() const { return *inode_; }
    InodeWatch* next_of_inode() const { return next_; }

    // Something of its mask happened to the inode, or to `name` in it. May delete this watch and
    // no other, and must not sleep. `of_open_file`: by way of a descriptor, whose file may have
    // lost its name (`is_unlinked`).
    struct Event {
        uint32_t bits;
        uint32_t cookie = 0;
        std::string_view name = {};
        bool is_unlinked = false;
    };
    virtual void on_event(const Event& event) = 0;
    // The inode's last name and last user have gone. Deletes the watch.
    virtual void on_inode_gone() = 0;

    uint32_t mask;

  private:
    InodeWatch* next_;
    RefPtr<Inode> inode_;
};

extern uint32_t inode_watch_count;

namespace notify_detail {
void tell_dentry(const Dentry& dentry, uint32_t events, bool is_open_file);
void tell_inode(Inode& inode, const InodeWatch::Event& event);
void tell_move(Inode& from, std::string_view old_name, const Dentry& moved, Inode* replaced);
void tell_removal(Inode& inode);
}  // namespace notify_detail

// To the watchers of a file and of the directory that it has its name in. `is_open_file`: it was
// done to an open file rather than to a name.
inline void notify_file(const Dentry& dentry, uint32_t events, bool is_open_file = false) {
    if (inode_watch_count != 0) [[unlikely]]
        notify_detail::tell_dentry(dentry, events, is_open_file);
}
inline void notify_open_file(const Path& path, uint32_t events) {
    if (inode_watch_count != 0 && path.mount) [[unlikely]]
        notify_detail::tell_dentry(*path.dentry, events, true);
}
// To those of the inode alone.
inline void notify_inode(Inode& inode, uint32_t events) {
    if (inode_watch_count != 0) [[unlikely]]
        notify_detail::tell_inode(inode, {events});
}
// IN_CREATE or IN_DELETE of a name in a directory.
void notify_name(Inode& directory, std::string_view name, uint32_t events, const Inode& named);
// A name has moved to where `moved` is now, in place of `replaced` if that is not null.
inline void notify_move(Inode& from, std::string_view old_name, const Dentry& moved,
                        Inode* replaced) {
    if (inode_watch_count != 0) [[unlikely]]
        notify_detail::tell_move(from, old_name, moved, replaced);
}
// The last user of an inode without names has gone.
inline void notify_removal(Inode& inode) {
    if (inode.first_watch) [[unlikely]]
        notify_detail::tell_removal(inode);
}

}  // namespace coracle
