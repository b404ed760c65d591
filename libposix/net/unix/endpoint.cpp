#include "libposix/net/unix/endpoint.h"

#include <poll.h>

#include "libposix/process/process.h"

namespace coracle {

UnixEndpoint::~UnixEndpoint() = default;

void UnixEndpoint::close() {
    const bool was_accepted = file != nullptr;
    dead = true;
    shut_down = kBoth;
    state = State::kUnconnected;
    file = nullptr;
    unbind_unix(*this);
    peer_room.unlink();
    room.wake_all();
    RefPtr<UnixEndpoint> other = std::exchange(peer, nullptr);
    if (other && is_connection_based()) {
        other->shut_down = kBoth;
        if (!queue.is_empty() || !was_accepted) other->error = ECONNRESET;
        other->wake(kAnyEvents);
    }
    while (!pending.empty()) {
        RefPtr<UnixEndpoint> embryo = adopt_ref(&pending.front());
        pending.pop_front();
        embryo->close();
    }
    pending_count = 0;
    urgent = nullptr;
    queue.clear();
}

void UnixEndpoint::note_own_credentials() {
    const Credentials& own = current_credentials();
    peer_credentials = {current_process()->pid, own.euid, own.egid};
    peer_groups = own.supplementary;
}

void UnixEndpoint::release_send_buffer(uint32_t size) {
    send_used -= size;
    if (!dead && is_writable()) wake(POLLOUT | POLLWRNORM | POLLWRBAND);
}

bool UnixEndpoint::PeerRoomEntry::wake_owner(WaitEntry& entry, uint32_t) {
    entry.unlink();
    static_cast<PeerRoomEntry&>(entry).endpoint.wake(POLLOUT | POLLWRNORM | POLLWRBAND);
    return true;
}

Result<void> wait_for_send_buffer(UnixEndpoint& endpoint, SocketWait& wait) {
    auto has_room = [&] { return endpoint.send_used < endpoint.send_buffer; };
    for (;;) {
        if (int error = endpoint.take_error(); error != 0) return Error(error);
        if (endpoint.is_shut(UnixEndpoint::kSend)) return Error(EPIPE);
        if (has_room()) return {};
        TRY(wait.until(endpoint.changed, [&] {
            return has_room() || endpoint.error != 0 || endpoint.is_shut(UnixEndpoint::kSend);
        }));
    }
}

}  // namespace coracle
