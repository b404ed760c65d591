// Packet sockets (man 7 packet): whole frames of an interface, in and out, with their Ethernet
// header (SOCK_RAW) or without (SOCK_DGRAM). A frame is copied for each socket that wants it: its
// headers change as it goes on.
#pragma once

#include <linux/if_packet.h>

#include <boost/intrusive/list.hpp>

#include "libposix/net/interface.h"
#include "libposix/net/packet/fanout.h"
#include "libposix/net/packet/receive_ring.h"
#include "libposix/net/send_memory.h"
#include "libposix/net/socket.h"

namespace coracle::net {

struct TransmitFrame;

class PacketSocket final : public Socket,
                           public boost::intrusive::list_base_hook<
                               boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    PacketSocket(SocketPlace place, uint32_t flags, Kind kind);
    ~PacketSocket();

    Result<void> bind(const SocketAddress& address) override;
    Result<void> local_address(SocketAddress& to) override;
    Result<size_t> send(SendMessage& message) override;
    Result<size_t> receive(ReceiveMessage& message) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;
    bool has_filter() const override { return true; }
    int take_error() override { return std::exchange(error_, 0); }
    Result<size_t> bytes_to_receive() override;
    Result<size_t> bytes_to_send() override { return send_memory_.queued(); }
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override { return &changed_; }
    // The rings; EINVAL: there are none.
    Result<RefPtr<MemoryObject>> memory_object() override;

    // A frame from its Ethernet header on, with its PacketInfo, which is for this socket: kept if
    // its filter wants it.
    void offer(const Buffer& frame, const Interface& interface);
    bool wants(const Buffer& frame, const Interface& interface) const;
    // For a frame more.
    Room room(const Buffer& frame) const;
    const FanoutGroup* fanout() const { return fanout_.get(); }
    // Precondition: its group rolls over.
    Rollover& rollover() { return *rollover_; }

    uint16_t protocol() const { return hook_.protocol; }
    uint32_t interface_index() const { return hook_.interface_index; }
    size_t queued_memory() const { return queued_memory_; }
    uint32_t user() const { return user_; }

  private:
    // Of a frame that waits, in Buffer::control().
    struct Arrival {
        sockaddr_ll from;
        uint64_t time_ns;                  // since 1970; 0: nobody asked
        uint32_t status;                   // TP_STATUS_*
        uint32_t length, original_length;  // what the filter kept, and of how much
        uint16_t network_offset;
    };
    struct Membership {
        int interface_index, type;
        uint16_t address_length;
        uint8_t address[8];
        uint32_t users;
        bool is_like(const packet_mreq& request) const;
    };
    static constexpr size_t kMaxMemberships = 20;

    bool strips_header() const { return type() == SOCK_DGRAM; }
    size_t filter(const Buffer& frame, const Interface& interface, size_t skip) const;
    // False: there is no room.
    bool keep(const Buffer& frame, size_t skip, const Arrival& arrival);
    void put_controls(ReceiveMessage& message, const Arrival& arrival) const;
    Result<size_t> send_frame(IoBuffer& data, Interface& interface, uint16_t protocol,
                              const sockaddr_ll* to);
    Result<void> wait_for_room(uint32_t message_flags);
    // What the program put into the transmit ring.
    Result<size_t> send_ring(Interface& interface, uint16_t protocol, const sockaddr_ll* to,
                             uint32_t message_flags);
    Result<size_t> send_ring_frame(const TransmitFrame& frame, Interface& interface,
                                   uint16_t protocol, const sockaddr_ll* to);
    void offer_to_ring(const Buffer& frame, const Arrival& arrival);
    Result<void> set_ring(UserIn<char> value, unsigned length, bool transmits);
    Result<void> set_ring_option(int option, UserIn<char> value, unsigned length);
    Result<void> set_number(int option, int value);
    Result<void> join_fanout(UserIn<char> value, unsigned length);
    Result<void> set_fanout_data(UserIn<char> value, unsigned length);
    bool has_ring() const {
        return rings_ && (rings_->receive.count() || rings_->transmit.count());
    }
    Result<void> change_membership(const packet_mreq& request, bool joins);
    // EINVAL: no address of this interface; ENOBUFS. What was joined can be left.
    static Result<void> apply_membership(const Membership& membership, bool joins);

    PacketHook hook_;
    uint32_t user_;
    int error_ = 0;
    bool tells_status_ = false;      // PACKET_AUXDATA
    bool ignores_outgoing_ = false;  // PACKET_IGNORE_OUTGOING
    bool has_vnet_header_ = false;   // PACKET_VNET_HDR
    // Kept for getsockopt(2) alone: no interface is part of another, none has a hardware clock, and
    // there are no queueing disciplines.
    bool original_device_ = false, bypasses_queueing_ = false;
    int timestamp_source_ = 0;
    uint32_t packets_ = 0, drops_ = 0;
    BufferQueue queue_;
    size_t queued_memory_ = 0;
    WaitQueue changed_;
    SendMemory send_memory_{changed_};
    Membership memberships_[kMaxMemberships];
    size_t membership_count_ = 0;

    int ring_version_ = TPACKET_V1;
    uint32_t ring_reserve_ = 0;
    bool skips_bad_frames_ = false;   // PACKET_LOSS
    bool frames_say_offset_ = false;  // PACKET_TX_HAS_OFF
    int copy_threshold_ = 0;          // PACKET_COPY_THRESH; not 0: frames too long are kept whole
    RefPtr<RingMemory> rings_;
    std::unique_ptr<ReceiveRing> receive_ring_;
    RingLayout transmit_layout_;
    uint32_t transmit_head_ = 0;  // the frame to send next

    RefPtr<FanoutGroup> fanout_;
    std::unique_ptr<Rollover> rollover_;
};

// What a filter sees of a frame behind its first `skip` bytes.
BpfPacket bpf_packet_of(const Buffer& frame, const Interface& interface, size_t skip);

using PacketSocketList =
    boost::intrusive::list<PacketSocket, boost::intrusive::constant_time_size<false>>;
const PacketSocketList& packet_sockets();

void register_packet_sockets();

}  // namespace coracle::net
