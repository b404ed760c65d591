// libFuzzer target: segments as the input says arrive at a stack with a listener, a connection that
// was opened and one that was accepted; the application reads, writes and closes in between.
// Numbers and options are those of a peer of the connection, more or less. After each step the
// connections' counts must be those of their queues.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "libposix/net/tcp/stack.h"

namespace coracle::net::tcp {
namespace {

const FlowKey kFlow{{IpAddress::v4(10, 0, 0, 1), 80, 0}, {IpAddress::v4(10, 0, 0, 2), 999, 0}};
const FlowKey kOut{{IpAddress::v4(10, 0, 0, 1), 4000, 0}, {IpAddress::v4(10, 0, 0, 2), 80, 0}};

// What the peer of a flow knows.
struct Peer {
    Sequence next;                  // of its own: what was acknowledged to it
    Sequence acknowledged, newest;  // of ours: what it acknowledged last, the end of what it saw
    uint32_t timestamp = 1000;      // its own
    uint32_t echo = 0;              // ours, that it saw last
    FastOpenCookie cookie;          // that it was given
};

class Fuzz final : public Environment {
  public:
    PathProperties path(const FlowKey&, const IpChoices&, PathCache&) override {
        return {1500, offload, false, false};
    }
    void output(BufferPtr packet, const FlowKey& flow, const IpChoices&, PathCache*) override {
        // What goes out must be well-formed, and tells the peer what it is to say next.
        if (packet->chain_length() > 65535 - 20) abort();
        Segment segment;
        packet->info.checksum = ChecksumState::kVerified;
        packet->info.segment_size = 0;
        if (parse_segment(std::move(packet), flow.local.address, flow.remote.address, segment) !=
            ParseResult::kGood) {
            abort();
        }
        Peer& peer = peers[flow.remote.port == kOut.remote.port];
        if (segment.has(kAck)) peer.next = segment.acknowledgement;
        if (segment.has(kSyn)) peer.acknowledged = segment.sequence + 1;
        if (segment.has(kSyn) || segment.end() > peer.newest) peer.newest = segment.end();
        if (segment.options.fast_open_size) peer.cookie = FastOpenCookie::read(segment.options);
        if (segment.options.has_timestamp) peer.echo = segment.options.timestamp;
    }
    void arm_timer(uint64_t deadline_ns) override { timer_ns = deadline_ns; }
    uint64_t random() override { return seed = seed * 6364136223846793005 + 1442695040888963407; }

    uint32_t offload = 0;
    uint64_t seed = 1, timer_ns = kNever;
    Peer peers[2];  // of kFlow, of kOut
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

// Numbers as the peer would give them, near them, or anything; its options, or as they come.
BufferPtr make_segment(Bytes& in, Peer& peer, const FlowKey& flow) {
    uint8_t kind = in.byte(), more = in.byte();
    HeaderFields fields{flow.remote.port, flow.local.port, peer.next, peer.newest, 0, 0};
    if (kind & 1) fields.sequence += static_cast<uint32_t>(static_cast<int8_t>(in.byte())) * 128;
    if (kind & 2) fields.acknowledgement = peer.acknowledged + in.byte() * 181u;
    if (kind & 4) fields.sequence = Sequence(in.word());
    if (kind & 8) fields.acknowledgement = Sequence(in.word());
    fields.flags = in.byte() ^ kAck;
    fields.window = static_cast<uint16_t>(in.byte() << (kind >> 6) * 2);
    if (fields.flags & kUrg) fields.urgent_pointer = in.byte();
    Options options;
    bool any = kind & 16;
    if (!any) {
        options.has_timestamp = more & 1;
        options.timestamp = peer.timestamp += more >> 7;
        options.timestamp_echo = peer.echo - (more >> 6 & 1);
        for (int i = 0; i < (more >> 1 & 3); i++) {
            Sequence start = peer.acknowledged + in.byte() * 181u;
            options.sack[options.sack_count++] = {start, start + in.byte() * 181u};
        }
        if (fields.flags & kSyn) {
            options.maximum_segment_size = static_cast<uint16_t>(in.byte() * 40);
            options.sack_permitted = more & 8;
            options.has_window_scale = more & 16;
            options.window_scale = more >> 4;
            if (more & 64) peer.cookie.write(options);
        }
    }
    BufferPtr packet = Buffer::allocate(600);
    size_t size = any ? in.byte() % 11u * 4 : options_size(options);
    uint8_t* header = packet->append(kHeaderSize + size);
    write_header(header, fields, options);
    if (any) {
        memset(header + kHeaderSize, 1, size);
        in.take(header + kHeaderSize, size);
        header[12] = static_cast<uint8_t>((kHeaderSize + size) / 4 << 4);
    }
    if (kind & 32) {
        size_t payload = in.byte();
        memset(packet->append(payload), 'p', payload);
    }
    if (fields.acknowledgement <= peer.newest && fields.acknowledgement > peer.acknowledged) {
        peer.acknowledged = fields.acknowledgement;
    }
    packet->info.checksum = ChecksumState::kVerified;
    return packet;
}

void must(bool holds, int line = __builtin_LINE()) {
    if (holds) return;
    fprintf(stderr, "line %d\n", line);
    abort();
}

// The counts are those of the queues, and the queues are in order.
void check(const Connection& connection) {
    uint32_t out = 0, sacked = 0, lost = 0, again = 0, memory = 0;
    bool is_sent = true;
    const Buffer* before = nullptr;
    for (Buffer* at = connection.send_queue.first(); at; at = BufferQueue::after(at)) {
        SendSegment& info = send_info(*at);
        is_sent = is_sent && at != connection.unsent;
        must(at->chain_length() == info.length);
        must(!before || send_info(*const_cast<Buffer*>(before)).end() == info.sequence);
        must(is_sent || !(info.is_sacked || info.is_lost || info.is_in_retransmission));
        out += is_sent ? info.packets : 0u;
        sacked += info.is_sacked ? info.packets : 0u;
        lost += info.is_lost ? info.packets : 0u;
        again += info.is_in_retransmission ? info.packets : 0u;
        memory += static_cast<uint32_t>(at->chain_memory_size());
        before = at;
    }
    must(out == connection.packets_out && lost == connection.lost_out);
    must(!connection.sack_on || sacked == connection.sacked_out);
    must(again == connection.retransmitted_out && memory == connection.send_memory);
    must(connection.sacked_out + connection.lost_out <= out || !connection.in_table);

    memory = 0;
    uint32_t readable = 0;
    for (Buffer* at = connection.receive_queue.first(); at; at = BufferQueue::after(at)) {
        must(!at->next());
        memory += static_cast<uint32_t>(at->held_memory());
        readable += at->length();
    }
    must(readable == connection.receive_bytes);
    Sequence end = connection.receive_next;
    for (Buffer* at = connection.out_of_order.first(); at; at = BufferQueue::after(at)) {
        const ReceivedData& info = received_info(*at);
        must(info.sequence >= end && at->chain_length() == info.length);
        memory += static_cast<uint32_t>(at->chain_held_memory());
        end = info.end();
    }
    must(!connection.in_table || memory == connection.receive_memory);
    must(connection.receive_memory <= 2 * connection.receive_limit + 4096);
    for (uint8_t i = 0; i < connection.sack_block_count; i++) {
        const SackBlock& block = connection.sack_blocks[i];
        must(block.start < block.end && block.start > connection.receive_next);
        for (uint8_t j = 0; j < i; j++) {
            const SackBlock& other = connection.sack_blocks[j];
            must(block.end < other.start || other.end < block.start);
        }
    }
}

void act(Connection* connection, uint8_t what) {
    if (!connection) return;
    switch (what % 6) {
        case 0: {
            BufferPtr data = Buffer::allocate(1500, kPacketHeadroom);
            memset(data->append(what * 5u), 'x', what * 5u);
            if (connection->waits_for_data()) {
                connection->send_with_syn(data->length() ? std::move(data) : nullptr);
            } else if (data->length()) {
                (void)connection->send(std::move(data), what >> 6 & 3).ok();
            }
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
        stack.settings.fast_open = in.byte() << 8 | kFastOpenServer;
        ConnectionOptions options;
        options.no_delay = setup & 2;
        options.receive_buffer = setup & 4 ? 4096 : 0;
        if (setup & 32) options.congestion = &kReno;
        if (setup & 64) options.max_pacing_rate = 100'000;
        stack.settings.sack = !(setup & 128);
        options.keep_alive = setup & 8;
        RefPtr<Listener> listener = stack.listen(kFlow.local, options, 2).release_value();
        listener->set_fast_open_limit(2);
        auto mode = static_cast<FastOpen>(in.byte() % 3);
        stack.fast_open_cookies().store(kOut, {.size = 6}, 1000);
        RefPtr<Connection> opened = stack.connect(kOut, options, nullptr, mode).release_value();
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
                BufferPtr packet = make_segment(in, environment.peers[out], flow);
                stack.input(std::move(packet), {flow.remote.address, flow.local.address, 1,
                                                static_cast<uint8_t>(step >> 3 & 3), false});
            }
            if (!accepted) accepted = listener->accept();
            if (opened) check(*opened);
            if (accepted) check(*accepted);
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
