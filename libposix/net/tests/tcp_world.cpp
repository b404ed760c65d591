#include "libposix/net/tests/tcp_world.h"

#include <gtest/gtest.h>

#include "libposix/net/checksum.h"

namespace coracle::net::tcp {

uint8_t pattern_byte(uint64_t offset) {
    return static_cast<uint8_t>((offset * 2654435761u >> 13) ^ offset);
}

BufferPtr make_data(const std::string& text) {
    BufferPtr first;
    for (size_t at = 0; at < text.size() || !first;) {
        size_t headroom = first ? 0 : kPacketHeadroom;
        size_t size = std::min(text.size() - at, kLargeBufferCapacity - headroom);
        BufferPtr buffer = Buffer::allocate(size + headroom, headroom);
        memcpy(buffer->append(size), text.data() + at, size);
        at += size;
        if (first) {
            first->last()->set_next(std::move(buffer));
        } else {
            first = std::move(buffer);
        }
    }
    return first;
}

std::vector<WirePacket> cut_packet(BufferPtr packet, const FlowKey& flow, uint8_t traffic_class) {
    std::string bytes(packet->chain_length(), '\0');
    packet->copy_out(0, bytes.data(), bytes.size());
    size_t header = static_cast<size_t>(static_cast<uint8_t>(bytes[12]) >> 4) * 4;
    size_t payload = bytes.size() - header;
    size_t size =
        packet->info.segment_size ? packet->info.segment_size : std::max<size_t>(payload, 1);
    bool complete = packet->info.checksum != ChecksumState::kPartial;
    uint32_t sequence = read_be32(reinterpret_cast<uint8_t*>(bytes.data()) + 4);
    std::vector<WirePacket> packets;
    for (size_t at = 0; at == 0 || at < payload; at += size) {
        std::string piece = bytes.substr(0, header) + bytes.substr(header + at, size);
        auto* raw = reinterpret_cast<uint8_t*>(piece.data());
        write_be32(raw + 4, sequence + static_cast<uint32_t>(at));
        if (at + size < payload) raw[13] &= static_cast<uint8_t>(~(kFin | kPsh));
        if (at > 0) raw[13] &= static_cast<uint8_t>(~kCwr);
        if (!complete) {
            memset(raw + 16, 0, 2);
            uint64_t sum = pseudo_header_sum(flow.local.address, flow.remote.address, 6,
                                             static_cast<uint32_t>(piece.size()));
            uint16_t checksum = checksum_of(raw, piece.size(), sum);
            memcpy(raw + 16, &checksum, 2);
        }
        packets.push_back({flow.local.address, flow.remote.address, traffic_class, piece});
    }
    return packets;
}

Host::Host(World& in, const IpAddress& at) : world(in), address(at), stack(*this) {
    properties.mtu = world.wire.mtu;
    stack.set_now(world.now_ns);
}

uint64_t Host::random() {
    return world.random();
}

void Host::output(BufferPtr packet, const FlowKey& flow, const IpChoices& choices, PathCache*) {
    for (WirePacket& piece : cut_packet(std::move(packet), flow, choices.traffic_class)) {
        EXPECT_LE(piece.bytes.size() + (flow.local.address.is_v4() ? 20 : 40), properties.mtu);
        world.send(std::move(piece));
    }
}

void Host::deliver(const WirePacket& packet) {
    stack.set_now(world.now_ns);
    BufferPtr buffer = Buffer::allocate(packet.bytes.size());
    memcpy(buffer->append(packet.bytes.size()), packet.bytes.data(), packet.bytes.size());
    stack.input(std::move(buffer), {packet.from, packet.to, 1, packet.traffic_class, false});
}

World::World(uint64_t seed, const WireSettings& settings)
    : random(seed),
      wire(settings),
      client(*this, IpAddress::v4(10, 0, 0, 1)),
      server(*this, IpAddress::v4(10, 0, 0, 2)) {}

World::~World() = default;

void World::send(WirePacket packet) {
    packets_sent++;
    if (tap && tap(packet)) return;
    auto chance = [&](double probability) {
        return probability > 0 && std::uniform_real_distribution<>(0, 1)(random) < probability;
    };
    if (chance(wire.loss)) {
        packets_lost++;
        return;
    }
    Host* to = packet.to == server.address ? &server : &client;
    uint64_t arrival = now_ns;
    if (wire.bytes_per_second) {
        uint64_t& busy = busy_until_ns_[to == &server];
        uint64_t start = std::max(busy, now_ns);
        uint64_t queued = (start - now_ns) * wire.bytes_per_second / kSecond;
        if (queued > wire.queue_bytes) {
            packets_lost++;
            return;
        }
        if (wire.ecn_threshold_bytes && queued > wire.ecn_threshold_bytes &&
            (packet.traffic_class & 3)) {
            packet.traffic_class |= 3;
        }
        busy = start + (packet.bytes.size() + 20) * kSecond / wire.bytes_per_second;
        arrival = busy;
    }
    arrival += wire.delay_ns;
    if (chance(wire.reordering)) arrival += random() % wire.reordering_ns;
    if (wire.bunch_ns) arrival += wire.bunch_ns - arrival % wire.bunch_ns;
    if (chance(wire.corruption)) {
        packet.bytes[random() % packet.bytes.size()] ^= static_cast<char>(1 << random() % 8);
    }
    if (chance(wire.duplication)) at(arrival + 1000, [=] { to->deliver(packet); });
    at(arrival, [=] { to->deliver(packet); });
}

bool World::step(uint64_t until_ns) {
    uint64_t next = std::min(client.timer_ns, server.timer_ns);
    if (!events_.empty()) next = std::min(next, events_.begin()->first);
    if (next == kNever || next > until_ns) return false;
    now_ns = std::max(now_ns, next);
    for (Host* host : {&client, &server}) {
        host->stack.set_now(now_ns);
        if (host->timer_ns <= now_ns) {
            host->timer_ns = kNever;
            host->stack.run_timers();
        }
    }
    if (!events_.empty() && events_.begin()->first <= now_ns) {
        auto what = std::move(events_.begin()->second);
        events_.erase(events_.begin());
        what();
    }
    return true;
}

void World::run_for(uint64_t ns) {
    uint64_t until = now_ns + ns;
    while (step(until)) continue;
    now_ns = until;
    client.stack.set_now(now_ns);
    server.stack.set_now(now_ns);
}

bool World::run_until(const std::function<bool()>& done, uint64_t limit_ns) {
    uint64_t until = now_ns + limit_ns;
    while (!done()) {
        if (!step(until)) return done();
    }
    return true;
}

void Application::send_text(const std::string& text, uint8_t flags) {
    host.stack.set_now(host.world.now_ns);
    auto result = connection->send(make_data(text), flags);
    EXPECT_TRUE(result.ok()) << result.error_code();
}

std::string Application::read_text() {
    host.stack.set_now(host.world.now_ns);
    std::string text;
    while (BufferPtr data = connection->take_received()) {
        text.append(reinterpret_cast<char*>(data->data()), data->length());
    }
    connection->note_read(static_cast<uint32_t>(text.size()));
    return text;
}

void Application::work() {
    if (!connection) return;
    host.stack.set_now(host.world.now_ns);
    while (sent < to_send && connection->is_synchronized()) {
        size_t space = connection->send_space();
        if (!space) {
            connection->want_space_event = true;
            break;
        }
        size_t size = std::min<size_t>({write_size, to_send - sent, space});
        std::string text(size, '\0');
        for (size_t i = 0; i < size; i++) text[i] = static_cast<char>(pattern_byte(sent + i));
        if (!connection->send(make_data(text), 0).ok()) break;
        sent += size;
    }
    if (close_when_sent && sent == to_send && connection->is_synchronized()) {
        connection->shutdown_send();
    }
    uint32_t read = 0;
    while (received < read_limit) {
        BufferPtr data = connection->take_received();
        if (!data) break;
        for (uint32_t i = 0; i < data->length(); i++) {
            mismatch |= data->data()[i] != pattern_byte(received++);
        }
        read += data->length();
    }
    if (read) connection->note_read(read);
    saw_end |= connection->has_end_of_file();
}

Pair::Pair(World& in, const ConnectionOptions& client_options,
           const ConnectionOptions& server_options, uint16_t port)
    : world(in), client(in.client), server(in.server) {
    listener = world.server.stack.listen({world.server.address, port, 0}, server_options, 16)
                   .release_value();
    FlowKey flow{{world.client.address, 40000, 0}, {world.server.address, port, 0}};
    client.attach(world.client.stack.connect(flow, client_options, &client).release_value());
    world.run_until(
        [&] {
            if (RefPtr<Connection> accepted = listener->accept()) server.attach(accepted);
            return is_connected() && client.connection->is_synchronized();
        },
        100 * kSecond);
}

Pair::~Pair() {
    world.server.stack.stop_listening(*listener);
}

bool Pair::run_until(const std::function<bool()>& done, uint64_t limit_ns) {
    return world.run_until(
        [&] {
            work();
            return done();
        },
        limit_ns);
}

}  // namespace coracle::net::tcp
