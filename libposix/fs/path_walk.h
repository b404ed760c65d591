// Path resolution: names to places, by Linux's rules (man 7 path_resolution, openat2(2)).
//
//   PathWalker walker(context, kFollowLast);
//   Path path = TRY(walker.resolve(name));
//
// Calls that create or remove a name stop at its directory:
//
//   TRY(walker.walk_to_last(name));   // walker.directory(), walker.last_name()
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "kernel-min/lib/result.h"
#include "libposix/fs/inode.h"
#include "libposix/fs/path.h"
#include "libposix/process/credentials.h"

namespace coracle {

constexpr size_t kMaxPath = 4096;  // PATH_MAX, with the NUL
constexpr size_t kMaxName = 255;   // NAME_MAX
constexpr unsigned kMaxSymlinks = 40;

// Where a walk starts and whose it is.
struct WalkContext {
    const Path& root;
    const Path& start;  // of relative names: the working directory or a descriptor's
    const Credentials& credentials;
};

enum WalkFlag : uint32_t {
    kFollowLast = 1,      // a symbolic link as the last component is followed
    kLastIsDirectory = 2,  // ENOTDIR unless the place is a directory
    kAllowEmpty = 4,      // AT_EMPTY_PATH: "" is the start itself
    // RESOLVE_* of openat2(2).
    kNoCrossDevice = 0x10,  // EXDEV at a mount point
    kNoMagicLinks = 0x20,   // ELOOP at a link that jumps
    kNoSymlinks = 0x40,     // ELOOP at any link
    kBeneath = 0x80,        // EXDEV where the walk would leave the start's tree
    kInRoot = 0x100,        // the start is the root
    kCachedOnly = 0x200,    // RESOLVE_CACHED: EAGAIN (nothing promises not to block)
};

class PathWalker {
  public:
    PathWalker(const WalkContext& context, uint32_t flags) : context_(context), flags_(flags) {}
    PathWalker(const PathWalker&) = delete;
    PathWalker& operator=(const PathWalker&) = delete;

    // The place that a name means. Errors: ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV.
    Result<Path> resolve(std::string_view name);

    // Resolves all but the last component. Then directory() is a directory that the caller may
    // search, and last_name() a name in it that may be missing.
    Result<void> walk_to_last(std::string_view name);
    enum class Last { kName, kDot, kDotDot, kRoot };  // kRoot: the path was only slashes
    Last last_kind() const { return last_kind_; }
    std::string_view last_name() const { return last_name_; }
    bool has_trailing_slash() const { return trailing_slash_; }
    const Path& directory() const { return current_; }
    // The place of the last component as it is, across mount points; links are not followed.
    Result<Path> look_up_last();
    // `link` is the last component's symbolic link: goes on to the last component of its target.
    // ELOOP. Returns a place if the link jumped there.
    Result<Path> follow_last(const Path& link);

  private:
    // A symbolic link whose text is being walked.
    struct Link {
        RefPtr<Inode> inode;
        LinkTarget target;
    };
    // One in the middle of a path, and what comes behind it.
    struct Pending {
        Link link;
        std::string_view rest;
        std::unique_ptr<Pending> outer;
    };

    Result<void> walk_components(std::string_view name);
    Result<Path> look_up(Last kind, std::string_view component);
    Result<Path> parent_of(Path place);
    Result<Path> cross_mounts(Path path);
    Result<Link> enter_link(const Path& path);
    Result<void> go_to_root(std::string_view& name);
    const Path& root() const { return flags_ & kInRoot ? context_.start : context_.root; }

    WalkContext context_;
    uint32_t flags_;
    unsigned symlinks_ = 0;
    Path current_;
    std::string_view last_name_;
    Last last_kind_ = Last::kRoot;
    bool trailing_slash_ = false;
    Link last_link_;  // keeps last_name_'s text
    std::unique_ptr<Pending> pending_;
};

}  // namespace coracle
