// libFuzzer target: segments as the input says arrive at a stack with a listener, a connection that
// was opened and one that was accepted; the application reads, writes and closes in between.
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {
namespace {

class Fuzz final : public Environment {
  public:
    PathProperties path(const FlowKey&, const IpChoices&, PathCache&) override {
        return {1500, offload, false, false};
    }
    void output(BufferPtr packet, const FlowKey&, const IpChoices&, PathCache*) override {
        // What goes out must be well-formed, and tells where the peer's next segment belongs.
        const uint8_t* header = packet->data();
        if (packet->chain_length() > 65535 - 20) abort();
        if (header[13] & kSyn) ours = Sequence(read_be32(header + 4));
        acknowledged = Sequence(read_be32(header + 8));
        sent_end = Sequence(read_be32(header + 4));
    }
    void arm_timer(uint64_t deadline_ns) override { timer_ns = deadline_ns; }
    uint64_t random() override { return seed = seed * 6364136223846793005 + 1442695040888963407; }

    uint32_t offload = 0;
    uint64_t seed = 1, timer_ns = kNever;
    Sequence ours, acknowledged, sent_end;
};

class Bytes {
  public:
    Bytes(const uint8_t* data, size_t size) : data_(data), size_(size) {}
    bool is_empty() const { return size_ == 0; }
    uint8_t byte() { return size_ ? size_--, *data_++ : uint8_t{0}; }
    uint32_t word() {
        uint32_t value = 0;
        for (int i = 0; i < 4; i++) value = value << 8 | byte();
        return value;
    }
    size_t take(uint8_t* to, size_t size) {
        size = size < size_ ? size : size_;
        memcpy(to, data_, size);
        data_ += size;
        size_ -= size;
        return size;
    }

  private:
    const uint8_t* data_;
    size_t size_;
};

const FlowKey kFlow{{IpAddress::v4(10, 0, 0, 1), 80, 0}, {IpAddress::v4(10, 0, 0, 2), 999, 0}};
const FlowKey kOut{{IpAddress::v4(10, 0, 0, 1), 4000, 0}, {IpAddress::v4(10, 0, 0, 2), 80, 0}};

// A segment: numbers near those of the connection, or anything; options as they come.
BufferPtr make_segment(Bytes& in, Fuzz& environment, const FlowKey& flow) {
    BufferPtr packet = Buffer::allocate(600);
    uint8_t* header = packet->append(kHeaderSize);
    uint8_t kind = in.byte();
    uint32_t sequence = environment.acknowledged.value();
    uint32_t ack = environment.sent_end.value();
    if (kind & 1) sequence += static_cast<uint32_t>(static_cast<int8_t>(in.byte())) * 64;
    if (kind & 2) ack += static_cast<uint32_t>(static_cast<int8_t>(in.byte())) * 64;
    if (kind & 4) sequence = in.word();
    if (kind & 8) ack = in.word();
    write_be16(header, flow.remote.port);
    write_be16(header + 2, flow.local.port);
    write_be32(header + 4, sequence);
    write_be32(header + 8, ack);
    header[13] = in.byte();
    write_be16(header + 14, static_cast<uint16_t>(in.byte() << (kind >> 6)));
    write_be16(header + 16, 0);
    write_be16(header + 18, in.byte());
    size_t options = kind & 16 ? in.byte() % 11 * 4 : 0;
    options = options > 40 ? 40 : options;
    uint8_t* at = packet->append(options);
    memset(at, 1, options);
    in.take(at, options);
    header[12] = static_cast<uint8_t>((kHeaderSize + options) / 4 << 4);
    if (kind & 32) {
        size_t size = in.byte();
        memset(packet->append(size), 'p', size);
    }
    packet->info.checksum = ChecksumState::kVerified;
    return packet;
}

void act(Connection* connection, uint8_t what) {
    if (!connection) return;
    switch (what % 6) {
        case 0: {
            BufferPtr data = Buffer::allocate(1500, kPacketHeadroom);
            memset(data->append(what * 5u), 'x', what * 5u);
            if (data->length()) (void)connection->send(std::move(data), what >> 6 & 3).ok();
            break;
        }
        case 1:
            while (BufferPtr data = connection->take_received()) {
                connection->note_read(data->length());
            }
            break;
        case 2:
            connection->shutdown_send();
            break;
        case 3:
            (void)connection->read_urgent(false).ok();
            break;
        case 4:
            connection->options.cork = what & 64;
            connection->options_changed();
            break;
        case 5:
            if (what & 128) connection->path_changed(600);
            break;
    }
}

}  // namespace
}  // namespace coracle::net::tcp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace coracle;
    using namespace coracle::net;
    using namespace coracle::net::tcp;
    {
        Fuzz environment;
        Bytes in(data, size);
        uint8_t setup = in.byte();
        environment.offload = setup & 1 ? 65000 : 0;
        Stack stack(environment);
        uint64_t now = 1000 * kSecond;
        stack.set_now(now);
        stack.settings.ecn = 1;
        ConnectionOptions options;
        options.no_delay = setup & 2;
        options.receive_buffer = setup & 4 ? 4096 : 0;
        options.keep_alive = setup & 8;
        RefPtr<Listener> listener = stack.listen(kFlow.local, options, 2).release_value();
        RefPtr<Connection> opened = stack.connect(kOut, options, nullptr).release_value();
        RefPtr<Connection> accepted;
        while (!in.is_empty()) {
            uint8_t step = in.byte();
            bool out = step & 128;
            if ((step & 7) == 0) {
                now += uint64_t{in.byte()} * 50 * kMillisecond;
                stack.set_now(now);
                if (environment.timer_ns <= now) {
                    environment.timer_ns = kNever;
                    stack.run_timers();
                }
            } else if ((step & 7) == 1) {
                act(out ? opened.get() : accepted.get(), in.byte());
            } else {
                const FlowKey& flow = out ? kOut : kFlow;
                BufferPtr packet = make_segment(in, environment, flow);
                stack.input(std::move(packet), {flow.remote.address, flow.local.address, 1,
                                                static_cast<uint8_t>(step >> 3 & 3), false});
            }
            if (!accepted) accepted = listener->accept();
            for (Connection* connection : {opened.get(), accepted.get()}) {
                if (!connection) continue;
                // Counters of packets never go below nothing.
                if (connection->packets_out > 100000 || connection->sacked_out > 100000 ||
                    connection->lost_out > 100000 || connection->retransmitted_out > 100000 ||
                    connection->send_memory > 100'000'000 ||
                    connection->receive_memory > 100'000'000) {
                    abort();
                }
            }
        }
        if (accepted) accepted->close(false);
        opened->close(setup & 16);
        stack.stop_listening(*listener);
    }
    for (size_t in_use : buffer_statistics().in_use) {
        if (in_use) abort();
    }
    drain_buffer_pools();
    return 0;
}
