// What sockets that carry whole messages over IP have in common: UDP, raw and ICMP sockets. They
// differ in how messages find them and what they send.
#pragma once

#include <algorithm>

#include "libposix/net/inet/error_queue.h"
#include "libposix/net/inet/inet_options.h"
#include "libposix/net/inet/socket_endpoint.h"
#include "libposix/net/send_memory.h"

namespace coracle::net {

// Of a message that waits to be received, in Buffer::control(); data() is what the reader gets.
struct DatagramInfo {
    IpAddress source, destination;
    uint64_t time_ns = 0;  // since 1970; 0: nobody asked for it
    uint32_t interface_index = 0;
    uint32_t length = 0;
    uint16_t source_port = 0, destination_port = 0;
    uint8_t hop_limit = 0, traffic_class = 0;
    uint16_t segment_size = 0;      // of datagrams that UDP_GRO joined to one message; 0: one
    uint16_t largest_fragment = 0;  // bytes with IP's headers; 0: it came whole
};

class DatagramSocket : public Socket {
  public:
    DatagramSocket(SocketPlace place, uint32_t flags, Kind kind);

    Result<size_t> receive(ReceiveMessage& message) override;
    Result<void> shutdown(int how) override;
    Result<void> local_address(SocketAddress& to) override;
    Result<void> peer_address(SocketAddress& to) override;
    Result<void> set_option(int level, int option, UserIn<char> value, unsigned length) override;
    Result<void> get_option(int level, int option, const OptionWriter& to) override;
    bool has_filter() const override { return true; }
    void option_changed(int option) override {
        if (option == SO_SNDBUF || option == SO_SNDBUFFORCE) changed_.wake_all(POLLOUT);
    }
    int take_error() override { return std::exchange(error_, 0); }
    Result<size_t> bytes_to_receive() override;
    Result<size_t> bytes_to_send() override { return send_memory_.queued(); }
    uint32_t poll_events() override;
    WaitQueue* wait_queue() override {
        leave_home();  // until it is known who watches it from now on: should_settle()
        return &changed_;
    }
    bool can_poll() override { return true; }

    const Endpoint& local() const { return local_; }
    const Endpoint& remote() const { return remote_; }
    bool is_connected() const { return is_connected_; }
    const InetOptions& inet() const { return inet_; }
    size_t queued_memory() const { return queued_memory_; }
    size_t memory_to_send() const { return send_memory_.queued(); }
    uint64_t drops() const { return drops_; }

    // A message for this socket; false: its buffer is full. info's addresses are set by the caller.
    bool enqueue(BufferPtr message, const DatagramInfo& info);
    // Joins the message to the last that waits, where both are of one flow and may be segments of
    // one size (UDP_GRO). False: enqueue() it.
    bool join_last(BufferPtr& message, const DatagramInfo& info);
    // What arrived is lost: a filter did not take it.
    void note_filtered() { drops_++; }
    // An ICMP error about something that it sent (RFC 1122, 4.1.3.3).
    void icmp_error(const IcmpError& error, std::span<const uint8_t> payload, uint16_t port);

  protected:
    // The destination of a send, and what control messages and options ask for.
    struct Target {
        Endpoint to;
        IpOutput how;
        uint16_t segment_size = 0;  // UDP_SEGMENT
        Route route;
    };
    Result<void> choose_target(const SendMessage& message, Target& target);
    Result<void> read_control(const ControlMessages& control, Target& target);
    // A control message of the protocol's own. EINVAL.
    virtual Result<void> protocol_control(const ControlMessages::Message&, Target&) {
        return Error(EINVAL);
    }
    void local_error(int error, const Target& target, uint32_t info);
    bool receives_errors() const {
        return family() == AF_INET ? inet_.receive_error : inet_.v6_receive_error;
    }
    Result<void> connect_to(const SocketAddress& address);
    // Before a SendScope. EAGAIN, EPIPE, ENOBUFS, what the network said of an earlier send.
    Result<void> wait_for_room(uint32_t message_flags);

    InetOptions inet_;
    Endpoint local_, remote_;
    bool is_connected_ = false;
    bool address_is_bound_ = false;  // by bind(2), not by connect(2)
    bool receive_is_shut_ = false, send_is_shut_ = false;
    int error_ = 0;
    ErrorQueue errors_;
    WaitQueue changed_;
    SendMemory send_memory_{changed_};

  private:
    Result<size_t> receive_error(ReceiveMessage& message);
    BufferPtr take_or_share(bool peek);
    void put_controls(ReceiveMessage& message, const DatagramInfo& info);

    BufferQueue queue_;
    size_t queued_memory_ = 0;
    uint64_t drops_ = 0;
};

// Copies `size` bytes of a message into a chain with this headroom. EFAULT, ENOBUFS.
Result<BufferPtr> copy_message_in(IoBuffer& from, size_t size, size_t headroom);
// Copies the first `size` bytes of a chain out. EFAULT.
[[gnu::always_inline]] inline Result<void> copy_message_out(const Buffer& chain, size_t size,
                                                            IoBuffer& to) {
    for (const Buffer* piece = &chain; piece && size > 0; piece = piece->next()) {
        const size_t part = std::min<size_t>(size, piece->length());
        if (to.copy_out(piece->data(), part) != part) return Error(EFAULT);
        size -= part;
    }
    return {};
}

}  // namespace coracle::net
