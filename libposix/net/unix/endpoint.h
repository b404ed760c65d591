// One AF_UNIX socket without its descriptor: Linux's struct unix_sock. It outlives the file while
// its peer or messages that it sent refer to it, and precedes it while nobody has accepted it.
//
// Invariants: a connected stream or seqpacket endpoint's peer is connected to it, or dead. Peers
// hold each other until they are closed. `queue` holds what was sent to this endpoint.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstdint>

#include "kernel-min/sched/sleep_lock.h"
#include "libposix/net/socket.h"
#include "libposix/net/unix/address.h"
#include "libposix/net/unix/message_queue.h"

namespace coracle {

class UnixSocket;

class UnixEndpoint : public RefCounted<UnixEndpoint> {
  public:
    using Hook = boost::intrusive::list_member_hook<
        boost::intrusive::link_mode<boost::intrusive::auto_unlink>>;
    enum class State : uint8_t { kUnconnected, kListening, kConnected };
    enum ShutDown : uint8_t { kReceive = 1, kSend = 2, kBoth = 3 };
    static constexpr unsigned kDatagramBacklog = 10;  // net.unix.max_dgram_qlen

    explicit UnixEndpoint(int socket_type) : type(socket_type) {}
    ~UnixEndpoint();

    bool is_connection_based() const { return type != SOCK_DGRAM; }
    bool is_shut(ShutDown direction) const { return shut_down & direction; }
    // The last close of its file, or of a listener that never accepted it: tells the peer, and
    // drops what is queued.
    void close();
    void connect_to(UnixEndpoint& other) {
        peer = RefPtr<UnixEndpoint>(&other);
        state = State::kConnected;
    }
    // The other end's credentials become what SO_PEERCRED shows; of this process.
    void note_own_credentials();
    void copy_peer_credentials(const UnixEndpoint& from) {
        peer_credentials = from.peer_credentials;
        peer_groups = from.peer_groups;
    }

    bool is_writable() const {
        return state != State::kListening && size_t{send_used} * 4 <= send_buffer;
    }
    // No more datagrams, or connections for a listener.
    bool is_queue_full() const {
        return (state == State::kListening ? pending_count : queue.count()) > backlog;
    }
    // Gives back what a message that it had sent took of its buffer.
    void release_send_buffer(uint32_t size);
    void wake(uint32_t events) { changed.wake_all(events); }
    // Takes the pending error.
    int take_error() { return std::exchange(error, 0); }

    const int type;
    State state = State::kUnconnected;
    uint8_t shut_down = 0;
    bool dead = false;
    int error = 0;               // SO_ERROR
    UnixSocket* file = nullptr;  // null before accept(2) and after close(2)
    RefPtr<UnixEndpoint> peer;
    RefPtr<UnixAddress> address;
    UnixMessageQueue queue;
    net::Buffer* urgent = nullptr;  // MSG_OOB: the packet in `queue` with the byte; null: none
    SleepLock reading;  // a reader's place at the head of the queue
    WaitQueue changed;  // poll's queue: readers, writers, acceptors
    WaitQueue room;     // senders and connectors that found is_queue_full()

    // Listeners: connections that wait for accept(2). Each holds a reference.
    Hook pending_hook;
    using PendingList = boost::intrusive::list<
        UnixEndpoint,
        boost::intrusive::member_hook<UnixEndpoint, Hook, &UnixEndpoint::pending_hook>,
        boost::intrusive::constant_time_size<false>>;
    PendingList pending;
    size_t pending_count = 0;
    unsigned backlog = kDatagramBacklog;

    // Copies of the file's options, for those who send to it and read from it.
    uint32_t send_buffer = kMaxBuffer;
    bool passes_credentials = false;
    RefPtr<net::BpfProgram> filter;
    uint32_t send_used = 0;

    PeerCredentials peer_credentials;
    RefPtr<GroupList> peer_groups;

    // A poller of this endpoint waits for room at its peer.
    struct PeerRoomEntry : WaitEntry {
        explicit PeerRoomEntry(UnixEndpoint& owner) : WaitEntry(wake_owner), endpoint(owner) {}
        static bool wake_owner(WaitEntry& entry, uint32_t events);
        UnixEndpoint& endpoint;
    };
    PeerRoomEntry peer_room{*this};

    Hook name_hook;  // among the bound ones (address.cpp)
    using NameList = boost::intrusive::list<
        UnixEndpoint, boost::intrusive::member_hook<UnixEndpoint, Hook, &UnixEndpoint::name_hook>,
        boost::intrusive::constant_time_size<false>>;

    // The collector's (rights.h): how many references to its file are in messages.
    uint32_t in_flight = 0, outside_references = 0;
    Hook in_flight_hook;
};

// Waits until the endpoint may have more in flight, as sock_alloc_send_skb() does. The pending
// error, EPIPE (without SIGPIPE), EAGAIN, kErestartsys, EINTR.
Result<void> wait_for_send_buffer(UnixEndpoint& endpoint, SocketWait& wait);

}  // namespace coracle
