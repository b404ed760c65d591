#include "libposix/net/unix/rights.h"

#include <new>

#include "libposix/net/unix/endpoint.h"
#include "libposix/net/unix/unix_socket.h"
#include "libposix/process/process.h"

namespace coracle {
namespace {

using InFlightList = boost::intrusive::list<
    UnixEndpoint,
    boost::intrusive::member_hook<UnixEndpoint, UnixEndpoint::Hook, &UnixEndpoint::in_flight_hook>,
    boost::intrusive::constant_time_size<false>>;
using RightsList = boost::intrusive::slist<UnixRights, boost::intrusive::cache_last<true>>;

InFlightList& sockets_in_flight() {
    static InFlightList list;
    return list;
}
size_t files_in_flight = 0;

UnixEndpoint* endpoint_of(File* file) {
    Socket* socket = file->socket();
    if (!socket || socket->family() != AF_UNIX) return nullptr;
    return &static_cast<UnixSocket*>(socket)->endpoint();
}

template <typename Visit>
void for_each_socket(const UnixRights& rights, Visit visit) {
    for (size_t i = 0; i < rights.count; i++) {
        if (UnixEndpoint* endpoint = endpoint_of(rights.files[i])) visit(*endpoint);
    }
}

// Calls visit(UnixMessage&) for all that reading from the endpoint could give: a listener gives
// connections first.
template <typename Visit>
void for_each_message(UnixEndpoint& endpoint, Visit visit) {
    for (net::Buffer* packet = endpoint.queue.first(); packet;
         packet = UnixMessageQueue::after(packet)) {
        visit(message_of(*packet));
    }
    for (UnixEndpoint& pending : endpoint.pending) for_each_message(pending, visit);
}

template <typename Visit>
void for_each_contained(UnixEndpoint& endpoint, Visit visit) {
    for_each_message(endpoint, [&](UnixMessage& message) {
        if (message.rights) for_each_socket(*message.rights, visit);
    });
}

void close_files(UnixRights* rights) {
    for (size_t i = 0; i < rights->count; i++) rights->files[i]->unref();
    delete[] rights->files;
    delete rights;
}

// Moves those that can be reached from outside into `reachable`, with all that they contain.
void take_reachable(InFlightList& candidates, InFlightList& reachable) {
    // Each reference that is not in a candidate's queue is one from outside.
    for (UnixEndpoint& endpoint : candidates) {
        endpoint.outside_references = endpoint.file->reference_count();
    }
    for (UnixEndpoint& endpoint : candidates) {
        for_each_contained(endpoint, [](UnixEndpoint& inner) { inner.outside_references--; });
    }
    for (auto next = candidates.begin(); next != candidates.end();) {
        UnixEndpoint& endpoint = *next++;
        if (endpoint.outside_references == 0) continue;
        endpoint.in_flight_hook.unlink();
        reachable.push_back(endpoint);
    }
    // The list grows while it is walked.
    for (UnixEndpoint& endpoint : reachable) {
        for_each_contained(endpoint, [&](UnixEndpoint& inner) {
            if (inner.outside_references != 0) return;
            inner.outside_references = 1;
            inner.in_flight_hook.unlink();
            reachable.push_back(inner);
        });
    }
}

}  // namespace

Result<UnixRightsPtr> make_rights(size_t capacity) {
    UnixRightsPtr rights(new (std::nothrow) UnixRights);
    if (!rights) return Error(ENOMEM);
    rights->files = new (std::nothrow) File*[capacity];
    if (!rights->files) return Error(ENOMEM);
    return rights;
}

Result<UnixRightsPtr> copy_rights(const UnixRights& rights) {
    UnixRightsPtr copy = TRY(make_rights(rights.count));
    for (size_t i = 0; i < rights.count; i++) {
        rights.files[i]->ref();
        copy->files[copy->count++] = rights.files[i];
    }
    return copy;
}

Result<void> launch_rights(UnixRights& rights) {
    if (files_in_flight > current_process()->limits.soft(Resource::kOpenFiles) &&
        !current_credentials().has_capability(kCapSysResource) &&
        !current_credentials().has_capability(kCapSysAdmin)) {
        return Error(ETOOMANYREFS);
    }
    files_in_flight += rights.count;
    rights.in_flight = true;
    for_each_socket(rights, [](UnixEndpoint& endpoint) {
        if (endpoint.in_flight++ == 0) sockets_in_flight().push_back(endpoint);
    });
    return {};
}

void land_rights(UnixRights& rights) {
    if (!rights.in_flight) return;
    files_in_flight -= rights.count;
    rights.in_flight = false;
    for_each_socket(rights, [](UnixEndpoint& endpoint) {
        if (--endpoint.in_flight == 0) endpoint.in_flight_hook.unlink();
    });
}

void destroy_rights(UnixRights* rights) {
    static RightsList waiting;
    static bool is_closing = false;
    land_rights(*rights);
    waiting.push_back(*rights);
    if (is_closing) return;  // a file of an outer set's is being closed
    is_closing = true;
    while (!waiting.empty()) {
        UnixRights* next = &waiting.front();
        waiting.pop_front();
        close_files(next);
    }
    is_closing = false;
}

void collect_unreachable_sockets() {
    InFlightList& all = sockets_in_flight();
    if (all.empty()) return;
    InFlightList unreachable, reachable;
    unreachable.swap(all);
    take_reachable(unreachable, reachable);
    // Reading nothing more from them breaks the cycles; the last references go with the messages.
    RightsList garbage;
    for (UnixEndpoint& endpoint : unreachable) {
        for_each_message(endpoint, [&](UnixMessage& message) {
            if (message.rights) garbage.push_back(*std::exchange(message.rights, nullptr));
        });
    }
    all.splice(all.end(), unreachable);
    all.splice(all.end(), reachable);
    while (!garbage.empty()) {
        UnixRights* rights = &garbage.front();
        garbage.pop_front();
        destroy_rights(rights);
    }
}

}  // namespace coracle
