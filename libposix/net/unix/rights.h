// SCM_RIGHTS: open files on their way from one process to another, in the message queues of
// AF_UNIX sockets; and the collector of sockets that only such messages refer to.
//
// A socket whose queue holds the last reference to itself, alone or by way of others, can never be
// closed. As in Linux, closing an AF_UNIX socket while others are in flight looks for such cycles:
// sockets all of whose references lie in queues, that no socket outside can reach. What their
// queues hold is dropped. The work is bounded by the number of sockets in flight.
#pragma once

#include <boost/intrusive/slist.hpp>
#include <cstddef>
#include <memory>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"

namespace coracle {

class File;
class UnixEndpoint;

// The files of one message.
struct UnixRights : boost::intrusive::slist_base_hook<> {
    static constexpr size_t kMaxFiles = 253;  // SCM_MAX_FD

    File** files = nullptr;  // each holds a reference
    size_t count = 0;
    bool in_flight = false;  // counted as being in a queue
};

struct UnixRightsDeleter {
    void operator()(UnixRights* rights) const;
};
using UnixRightsPtr = std::unique_ptr<UnixRights, UnixRightsDeleter>;

// Without files, with room for `capacity`. ENOMEM.
Result<UnixRightsPtr> make_rights(size_t capacity);
// A second set with the same files: what MSG_PEEK gives. ENOMEM.
Result<UnixRightsPtr> copy_rights(const UnixRights& rights);

// The message is about to be queued. ETOOMANYREFS: more are in flight than RLIMIT_NOFILE.
Result<void> launch_rights(UnixRights& rights);
// It has left its queue.
void land_rights(UnixRights& rights);

// Closes the files. Never recurses, however deep the sockets among them contain each other.
void destroy_rights(UnixRights* rights);
inline void UnixRightsDeleter::operator()(UnixRights* rights) const {
    destroy_rights(rights);
}

// Looks for cycles if there can be any. Called when an AF_UNIX socket was closed.
void collect_unreachable_sockets();

}  // namespace coracle
