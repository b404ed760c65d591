// AF_NETLINK, NETLINK_ROUTE (man 7 netlink): questions about interfaces, addresses, routes and
// neighbours are answered; changes are refused, because the host decides on them.
#pragma once

#include "libposix/net/netlink/route_dump.h"
#include "libposix/net/socket.h"

namespace coracle::net {

class NetlinkSocket final : public Socket {
  public:
    NetlinkSocket(SocketPlace place, uint32_t flags, Kind kind);
    ~NetlinkSocket();

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address, bool nonblocking) override;
    Result<void> local_address(SocketAddress& to) override;
    Result<void> peer_address(SocketAddress& to) override;
    Result<size_t> send(SendMessage& message) override;
    Result<size_t> receive(ReceiveMessage& message) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;
    bool has_filter() const override { return true; }
    Result<size_t> bytes_to_receive() override;
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override { return &changed_; }

  private:
    Result<void> bind_if_needed();
    void answer(const uint8_t* message, size_t size);
    void answer_dump(const DumpRequest& request,
                     bool (*write)(MessageWriter&, const DumpRequest&, size_t));
    Result<void> answer_one(uint16_t type, const DumpRequest& request, const uint8_t* message,
                            size_t size);
    void put_error(int error, const uint8_t* request, size_t size);
    BufferPtr make_answer();
    // Unless the socket's filter drops it.
    void queue(BufferPtr answer);

    uint32_t port_ = 0, groups_ = 0, peer_port_ = 0;
    uint32_t options_on_ = 0;  // bit n: NETLINK_* option n
    BufferQueue answers_;
    WaitQueue changed_;
    NetlinkSocket* next_;  // of those with a port, and without
};

void register_netlink();

}  // namespace coracle::net
