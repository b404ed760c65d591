// TCP sockets: SOCK_STREAM of AF_INET and AF_INET6 (man 7 tcp), over the core in libposix/net/tcp.
//
// The socket goes from neither to a Listener or a Connection; a connection that was accepted, or
// whose connect(2) began, is the socket's until its last close, and lives on in the stack.
#pragma once

#include <boost/intrusive/list.hpp>

#include "kernel-min/sched/sleep_lock.h"
#include "libposix/net/inet/inet_options.h"
#include "libposix/net/inet/socket_endpoint.h"
#include "libposix/net/inet/zero_copy.h"
#include "libposix/net/tcp/stack.h"

namespace coracle::net {

Result<RefPtr<Socket>> create_stream_socket(Socket::Kind kind, uint32_t flags);

class StreamSocket final : public Socket,
                           public tcp::Observer,
                           public boost::intrusive::list_base_hook<
                               boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    StreamSocket(SocketPlace place, uint32_t flags, Kind kind);
    ~StreamSocket();

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address, bool nonblocking) override;
    Result<void> listen(unsigned backlog) override;
    Result<RefPtr<Socket>> accept(bool nonblocking, uint32_t flags) override;
    Result<void> shutdown(int how) override;
    Result<void> local_address(SocketAddress& to) override;
    Result<void> peer_address(SocketAddress& to) override;
    Result<size_t> send(SendMessage& message) override;
    Result<size_t> receive(ReceiveMessage& message) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;
    void option_changed(int option) override;
    int take_error() override;
    bool has_filter() const override { return true; }
    bool has_zero_copy() const override { return true; }
    Result<void> set_reuseport_program(RefPtr<BpfProgram> program) override;
    bool is_listening() const override { return static_cast<bool>(listener_); }
    Result<size_t> bytes_to_receive() override;
    Result<size_t> bytes_to_send() override;
    Result<long> ioctl(uint32_t command, uint64_t argument) override;
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override {
        leave_home();  // until it is known who watches it from now on: should_settle()
        return &changed_;
    }
    bool can_poll() override { return true; }
    void leave_home() override;

    void on_tcp_event(uint32_t events) override;

    const Endpoint& local() const { return local_; }
    uint32_t user() const { return user_; }
    const Endpoint& remote() const { return remote_; }
    bool is_v6_only() const { return family() == AF_INET6 && inet_.v6_only; }
    tcp::PortSharing sharing() const {
        return {options.is_on(SO_REUSEADDR), options.is_on(SO_REUSEPORT), user_};
    }
    const tcp::Connection* connection() const { return connection_.get(); }
    const tcp::Listener* listener() const { return listener_.get(); }

  private:
    using State = tcp::State;
    State state() const;
    bool has_shaken_hands() const;
    Result<Endpoint> destination_of(const SocketAddress& address) const;
    Result<void> begin_connect(const Endpoint& to, tcp::FastOpen mode);
    Result<void> wait_for_connect(SocketWait& wait);
    // stream_fast_open.cpp
    tcp::FastOpen fast_open_mode() const;
    Result<bool> connect_to_send(SendMessage& message, SocketWait& wait, size_t& sent);
    Result<void> connect_fast(const SendMessage& message, SocketWait& wait);
    Result<size_t> send_with_syn(SendMessage& message, SocketWait& wait);
    Result<void> set_fast_open_option(int option, int number);
    void apply_fast_open();
    void disconnect();
    void linger();
    void set_local(const Endpoint& local);
    tcp::ConnectionOptions connection_options() const;
    // The options of the core that are in force: the connection's, the listener's, or to be.
    void push_options();
    void settle() override;
    bool is_plain(uint32_t flags, uint32_t plain_flags) const;
    Result<BufferPtr> read_piece(IoBuffer& data, ZeroCopySend* send);
    // Null: the message is an ordinary one.
    Result<RefPtr<ZeroCopySend>> begin_zero_copy(const SendMessage& message);
    Result<size_t> receive_urgent(ReceiveMessage& message);
    Result<bool> receive_some(ReceiveMessage& message, size_t& done, size_t& peeked);
    Result<int> no_data_result() const;
    Result<void> set_tcp_option(int option, UserIn<char> value, unsigned length);
    Result<void> get_tcp_option(int option, const OptionWriter& to);
    Result<void> set_congestion(UserIn<char> value, unsigned length);

    InetOptions inet_;
    tcp::ConnectionOptions tcp_;
    Endpoint local_, remote_;
    RefPtr<tcp::Connection> connection_;
    RefPtr<tcp::Listener> listener_;
    ErrorQueue errors_;
    RefPtr<ZeroCopyCounter> zero_copy_;
    RefPtr<BpfProgram> reuseport_program_;  // until it listens
    WaitQueue changed_;
    SleepLock reading_;  // a reader's place at the head of the queue
    uint32_t user_;      // SO_REUSEPORT is for the same user's alone
    uint32_t defer_accept_s_ = 0;
    bool port_is_chosen_ = false;      // bind(2) gave a port
    bool address_is_chosen_ = false;   // bind(2) gave an address
    bool connect_is_pending_ = false;  // connect(2) has not told its outcome yet
    bool receive_is_shut_ = false;
    bool tells_unread_ = false;  // TCP_INQ
    bool fast_open_connect_ = false;
    uint32_t fast_open_limit_ = 0;
};

}  // namespace coracle::net
