// UDP sockets (RFC 768, RFC 1122, 4.1; man 7 udp), and those of UDP-Lite (udp_lite.h).
#pragma once

#include <netinet/in.h>

#include <boost/intrusive/list.hpp>

#include "libposix/net/inet/datagram_socket.h"
#include "libposix/net/inet/zero_copy.h"
#include "libposix/net/udp/udp_lite.h"

namespace coracle::net {

class UdpSocket final : public DatagramSocket,
                        public boost::intrusive::list_base_hook<
                            boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    UdpSocket(SocketPlace place, uint32_t flags, Kind kind);
    ~UdpSocket();

    Result<void> bind(const SocketAddress& address) override;
    Result<void> connect(const SocketAddress& address, bool nonblocking) override;
    Result<size_t> send(SendMessage& message) override;
    Result<size_t> receive(ReceiveMessage& message) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;

    bool has_zero_copy() const override { return true; }
    Result<void> set_reuseport_program(RefPtr<BpfProgram> program) override;

    bool reuses_address() const { return options.is_on(SO_REUSEADDR); }
    bool reuses_port() const { return options.is_on(SO_REUSEPORT); }
    uint32_t user() const { return user_; }
    bool is_lite() const { return kind().protocol == IPPROTO_UDPLITE; }
    const LiteCoverage& lite_coverage() const { return lite_coverage_; }
    // Whether it takes datagrams of IPv6 without a checksum (RFC 6935).
    bool receives_unsummed() const { return receives_unsummed_; }
    // Of those that share its port; null: none.
    RefPtr<BpfProgram> reuseport_program;
    bool receives_merged() const { return receives_merged_; }

  private:
    Result<void> protocol_control(const ControlMessages::Message& message, Target& target) override;
    void settle() override;
    Result<void> bind_if_needed();
    Result<void> transmit(BufferPtr payload, const Target& target);
    Result<void> transmit_one(BufferPtr payload, const Target& target);
    Result<RefPtr<ZeroCopySend>> begin_zero_copy(const SendMessage& message, const Target& target);
    Result<BufferPtr> read_payload(SendMessage& message, size_t size, ZeroCopySend* send);
    Result<void> append_to_cork(IoBuffer& data, size_t size);

    RefPtr<ZeroCopyCounter> zero_copy_;
    uint32_t user_;  // who created it: SO_REUSEPORT is for the same user's alone
    int cork_ = 0, segment_size_ = 0, receives_merged_ = 0;
    int sends_unsummed_ = 0, receives_unsummed_ = 0;  // over IPv6
    LiteCoverage lite_coverage_;
    BufferPtr corked_;  // the payload so far
    Target corked_target_;
};

void register_udp();

// Calls visit(const UdpSocket&) for each that has a port.
using UdpList = boost::intrusive::list<UdpSocket, boost::intrusive::constant_time_size<false>>;
constexpr size_t kUdpBuckets = 256;
UdpList& udp_bucket(size_t port, bool is_lite);

}  // namespace coracle::net
