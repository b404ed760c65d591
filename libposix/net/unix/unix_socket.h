// AF_UNIX sockets (man 7 unix): stream, datagram and seqpacket.
#pragma once

#include "libposix/net/socket.h"
#include "libposix/net/unix/endpoint.h"

namespace coracle {

class UnixSocket final : public Socket,
                         public boost::intrusive::list_base_hook<
                             boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    static Result<RefPtr<Socket>> create(Kind kind, uint32_t flags);
    static Result<SocketPair> create_pair(Kind kind, uint32_t flags);
    UnixSocket(SocketPlace place, uint32_t flags, Kind kind, RefPtr<UnixEndpoint> endpoint);
    ~UnixSocket() override;

    UnixEndpoint& endpoint() const { return *endpoint_; }

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address, bool nonblocking) override;
    Result<void> listen(unsigned backlog) override;
    Result<RefPtr<Socket>> accept(bool nonblocking, uint32_t flags) override;
    Result<void> shutdown(int how) override;
    Result<void> local_address(SocketAddress& to) override;
    Result<void> peer_address(SocketAddress& to) override;

    Result<size_t> send(SendMessage& message) override;
    Result<size_t> receive(ReceiveMessage& message) override;

    void option_changed(int option) override;
    int take_error() override { return endpoint_->take_error(); }
    bool is_listening() const override {
        return endpoint_->state == UnixEndpoint::State::kListening;
    }
    bool has_filter() const override { return true; }
    bool has_peek_offset() const override { return true; }
    PeerCredentials peer_credentials() const override { return endpoint_->peer_credentials; }
    RefPtr<GroupList> peer_groups() const override { return endpoint_->peer_groups; }
    Result<size_t> bytes_to_receive() override;
    Result<size_t> bytes_to_send() override;

    Result<long> ioctl(uint32_t command, uint64_t argument) override;
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override { return &endpoint_->changed; }

    bool sees_credentials() const { return options.is_on(SO_PASSCRED); }
    // With SO_PASSCRED on, a socket that sends or connects needs a name. ENOMEM, ENOSPC.
    Result<void> bind_if_needed();

  private:
    // connection.cpp
    Result<void> connect_stream(const SocketAddress& address, bool nonblocking);
    Result<void> connect_datagram(const SocketAddress& address);

    // urgent.cpp
    struct Position {
        net::Buffer* packet;  // null: there is none
        size_t offset;
        bool is_mark;  // what was read so far ends at the urgent byte
    };
    // What a read looks at: behind `skip` bytes, which a peek has seen before; not the urgent byte,
    // unless it is inline. A read, but no peek, drops what it passes. `has_data`: it has some.
    Position find_data(size_t skip, bool peeks, bool has_data);
    Result<size_t> receive_urgent(ReceiveMessage& message);
    bool is_at_mark() const;

    // stream.cpp, datagram.cpp
    Result<size_t> send_stream(SendMessage& message);
    Result<size_t> receive_stream(ReceiveMessage& message);
    Result<size_t> send_datagram(SendMessage& message, bool to_peer_only);
    Result<size_t> receive_datagram(ReceiveMessage& message);

    RefPtr<UnixEndpoint> endpoint_;
};

using UnixSocketList =
    boost::intrusive::list<UnixSocket, boost::intrusive::constant_time_size<false>>;
// Those that have descriptors.
UnixSocketList& unix_sockets();
// The lines of /proc/net/unix.
Result<void> write_unix_table(TextBuffer& to);

// A datagram socket lost or changed its peer: what the old one sent is dropped, and the old one,
// if it was connected to this one, hears of it.
void disconnect_datagram(UnixEndpoint& endpoint, UnixEndpoint& old_peer);
// Whether `from` may send to `to`: it is not connected to somebody else.
inline bool may_send(const UnixEndpoint& from, const UnixEndpoint& to) {
    return !to.peer || to.peer.get() == &from;
}
// SO_PEEK_OFF: how far a peek of these flags looks ahead, and what a read does to it.
size_t peek_offset(const Socket& socket, uint32_t flags);
void advance_peek_offset(Socket& socket, size_t size);
void rewind_peek_offset(Socket& socket, size_t size);

}  // namespace coracle
