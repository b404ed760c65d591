#include "libposix/fs/path_walk.h"

#include <new>
#include <utility>

#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/permission.h"

namespace coracle {
namespace {

void skip_slashes(std::string_view& name) {
    while (!name.empty() && name.front() == '/') name.remove_prefix(1);
}

PathWalker::Last kind_of(std::string_view component) {
    if (component == ".") return PathWalker::Last::kDot;
    if (component == "..") return PathWalker::Last::kDotDot;
    return PathWalker::Last::kName;
}

}  // namespace

Result<Path> PathWalker::resolve(std::string_view name) {
    if (name.empty() && (flags_ & kAllowEmpty)) return context_.start;
    TRY(walk_to_last(name));
    Path place;
    for (;;) {
        place = TRY(look_up_last());
        if (!place.inode().is_symlink() || !((flags_ & kFollowLast) || trailing_slash_)) break;
        Path jumped = TRY(follow_last(place));
        if (!jumped) continue;
        place = std::move(jumped);
        break;
    }
    if ((trailing_slash_ || (flags_ & kLastIsDirectory)) && !place.inode().is_directory()) {
        return Error(ENOTDIR);
    }
    return place;
}

Result<void> PathWalker::walk_to_last(std::string_view name) {
    if (name.empty()) return Error(ENOENT);
    if (flags_ & kCachedOnly) return Error(EAGAIN);
    if (name.front() == '/') {
        TRY(go_to_root(name));
    } else {
        current_ = context_.start;
    }
    return walk_components(name);
}

Result<void> PathWalker::go_to_root(std::string_view& name) {
    if (flags_ & kBeneath) return Error(EXDEV);
    if (flags_ & kNoCrossDevice) {
        const Path& from = current_ ? current_ : context_.start;
        if (root().mount != from.mount) return Error(EXDEV);
    }
    current_ = root();
    skip_slashes(name);
    return {};
}

Result<void> PathWalker::walk_components(std::string_view name) {
    for (;;) {
        if (name.empty()) {
            if (!pending_) {
                last_kind_ = Last::kRoot;
                last_name_ = {};
                return {};
            }
            name = pending_->rest;
            pending_ = std::move(pending_->outer);
        }
        if (!current_.inode().is_directory()) return Error(ENOTDIR);
        TRY(check_permission(current_.inode(), kMayExecute, context_.credentials));

        std::string_view component = name.substr(0, name.find('/'));
        bool slash_follows = component.size() < name.size();
        name.remove_prefix(component.size());
        skip_slashes(name);
        if (name.empty() && !pending_) {
            last_name_ = component;
            last_kind_ = kind_of(component);
            trailing_slash_ |= slash_follows;
            return {};
        }

        Path place = TRY(look_up(kind_of(component), component));
        if (!place.inode().is_symlink()) {
            current_ = std::move(place);
            continue;
        }
        Link link = TRY(enter_link(place));
        if (link.target.jump) {
            current_ = std::move(link.target.jump);
            continue;
        }
        std::string_view text = link.target.text;
        if (text.front() == '/') TRY(go_to_root(text));
        if (!name.empty()) {
            auto* pending = new (std::nothrow) Pending{std::move(link), name, std::move(pending_)};
            if (!pending) return Error(ENOMEM);
            pending_.reset(pending);
        } else {
            // The end of an outer link's text: its place in the chain holds the new text.
            pending_->link = std::move(link);
        }
        name = text;
    }
}

Result<Path> PathWalker::look_up_last() { return look_up(last_kind_, last_name_); }

Result<Path> PathWalker::look_up(Last kind, std::string_view component) {
    switch (kind) {
        case Last::kRoot:
        case Last::kDot:
            return current_;
        case Last::kDotDot:
            return parent_of(current_);
        case Last::kName:
            break;
    }
    if (component.size() > kMaxName) return Error(ENAMETOOLONG);
    RefPtr<Dentry> dentry = TRY(DentryCache::lookup(current_.dentry, component));
    if (dentry->is_mount_point()) return cross_mounts({current_.mount, std::move(dentry)});
    return Path{current_.mount, std::move(dentry)};
}

Result<Path> PathWalker::parent_of(Path place) {
    for (;;) {
        if (place == root()) {
            if (flags_ & kBeneath) return Error(EXDEV);
            return place;
        }
        if ((flags_ & kBeneath) && place == context_.start) return Error(EXDEV);
        if (place.dentry != place.mount->root()) break;
        if (!place.mount->point()) return place;
        if (flags_ & kNoCrossDevice) return Error(EXDEV);
        place = Path(place.mount->point());
    }
    if (!place.dentry->parent()) return place;
    return cross_mounts({place.mount, RefPtr<Dentry>(place.dentry->parent())});
}

Result<Path> PathWalker::cross_mounts(Path path) {
    while (path.dentry->is_mount_point()) {
        RefPtr<Mount> mount(Mount::find(*path.mount, *path.dentry));
        if (!mount) break;
        if (flags_ & kNoCrossDevice) return Error(EXDEV);
        path = Path{mount, mount->root()};
    }
    return path;
}

Result<PathWalker::Link> PathWalker::enter_link(const Path& path) {
    if (++symlinks_ > kMaxSymlinks || (flags_ & kNoSymlinks)) return Error(ELOOP);
    LinkTarget target = TRY(path.inode().read_link());
    Link link{path.dentry->inode_ref(), std::move(target)};
    if (link.target.jump) {
        if (flags_ & kNoMagicLinks) return Error(ELOOP);
        if (flags_ & (kBeneath | kInRoot)) return Error(EXDEV);
        if ((flags_ & kNoCrossDevice) && link.target.jump.mount != current_.mount) {
            return Error(EXDEV);
        }
    } else if (link.target.text.empty()) {
        return Error(ENOENT);
    }
    return link;
}

Result<Path> PathWalker::follow_last(const Path& path) {
    Link link = TRY(enter_link(path));
    if (link.target.jump) return std::move(link.target.jump);
    std::string_view text = link.target.text;
    if (text.front() == '/') TRY(go_to_root(text));
    last_link_ = std::move(link);
    TRY(walk_components(text));
    return Path{};
}

}  // namespace coracle
