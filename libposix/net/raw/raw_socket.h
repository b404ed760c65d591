// Raw sockets (man 7 raw): whole packets of one IP protocol; and ICMP datagram sockets (man 7
// icmp), with which programs send echo requests without privilege.
#pragma once

#include <boost/intrusive/list.hpp>

#include "libposix/net/inet/datagram_socket.h"

namespace coracle::net {

class RawSocket final : public DatagramSocket,
                        public boost::intrusive::list_base_hook<
                            boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    RawSocket(SocketPlace place, uint32_t flags, Kind kind);

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address, bool nonblocking) override;
    Result<size_t> send(SendMessage& message) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;

    // A copy of what came in, if it is for this socket. `packet` from its transport header on.
    bool offer(const Buffer& packet, const IpInput& how);
    void error_input(const IcmpError& error);
    uint32_t user() const { return user_; }

  private:
    bool is_ping() const { return type() == SOCK_DGRAM; }
    bool passes_filter(const Buffer& packet) const;
    Result<size_t> send_ping(SendMessage& message);
    Result<void> claim_identifier(uint16_t wanted);
    Result<void> complete_icmp(Buffer& packet, const Target& target) const;

    uint32_t user_;
    bool sends_headers_ = false;     // IP_HDRINCL
    uint32_t icmp_filter_ = 0;       // ICMP_FILTER: types that are not wanted
    uint32_t icmp6_filter_[8] = {};  // ICMP6_FILTER: the same
    int checksum_offset_ = -1;       // IPV6_CHECKSUM
};

using RawSocketList =
    boost::intrusive::list<RawSocket, boost::intrusive::constant_time_size<false>>;
const RawSocketList& raw_sockets();  // and ICMP's

void register_raw_sockets();

}  // namespace coracle::net
