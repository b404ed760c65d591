// Which queue a frame takes: flows stay in order, and follow the CPU that sends.
#include "libposix/net/transmit_steering.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <random>
#include <vector>

namespace coracle::net {
namespace {

using Bytes = std::vector<uint8_t>;

BufferPtr frame_of(const Bytes& bytes) {
    BufferPtr frame = Buffer::allocate(bytes.size());
    memcpy(frame->append(bytes.size()), bytes.data(), bytes.size());
    return frame;
}

Bytes ipv4_frame(uint8_t host, uint16_t port, uint16_t fragment = 0, uint8_t protocol = 6,
                 uint8_t header_words = 5) {
    Bytes bytes(14 + header_words * 4 + 20);
    bytes[12] = 8;
    uint8_t* ip = &bytes[14];
    ip[0] = static_cast<uint8_t>(0x40 | header_words);
    ip[6] = static_cast<uint8_t>(fragment >> 8);
    ip[7] = static_cast<uint8_t>(fragment);
    ip[9] = protocol;
    ip[19] = host;
    uint8_t* transport = ip + header_words * 4;
    transport[2] = static_cast<uint8_t>(port >> 8);
    transport[3] = static_cast<uint8_t>(port);
    return bytes;
}

TEST(FlowHash, DependsOnAddressesProtocolAndPorts) {
    auto hash = [](const Bytes& bytes) { return flow_hash(*frame_of(bytes)); };
    const uint32_t flow = hash(ipv4_frame(1, 80));
    EXPECT_EQ(hash(ipv4_frame(1, 80)), flow);
    EXPECT_NE(hash(ipv4_frame(2, 80)), flow);
    EXPECT_NE(hash(ipv4_frame(1, 81)), flow);
    EXPECT_NE(hash(ipv4_frame(1, 80, 0, 17)), flow);
    EXPECT_EQ(hash(ipv4_frame(1, 80, 0x4000)), flow) << "Don't Fragment";
    EXPECT_EQ(hash(ipv4_frame(1, 80, 0, 6, 15)), flow) << "with options";
}

TEST(FlowHash, FragmentsOfAPacketAreOneFlow) {
    auto hash = [](const Bytes& bytes) { return flow_hash(*frame_of(bytes)); };
    EXPECT_EQ(hash(ipv4_frame(1, 80, 0x2000, 17)), hash(ipv4_frame(1, 99, 0x00b9, 17)));
}

TEST(FlowHash, ShortFramesAreNotReadBeyondTheirEnd) {
    Bytes v4 = ipv4_frame(1, 80, 0, 6, 15), v6(14 + 40 + 4);
    v6[12] = 0x86, v6[13] = 0xdd, v6[20] = 6;
    for (const Bytes& whole : {v4, v6}) {
        for (size_t size = 1; size <= whole.size(); size++) {
            Bytes part(whole.begin(), whole.begin() + static_cast<long>(size));
            // Wrapped, so that the sanitizer knows where it ends.
            BufferPtr frame = Buffer::wrap(
                part.data(), part.size(), [](void*, void*) {}, nullptr);
            (void)flow_hash(*frame);
        }
    }
}

// A device with several queues, each in order, that work when they like.
struct Model {
    struct Queue {
        std::deque<std::pair<uint32_t, int>> frames;  // flow and number
        uint64_t accepted = 0, completed = 0;
    };
    std::vector<Queue> queues;
    TransmitSteering steering;
    std::map<uint32_t, int> next_sent, last_seen;

    explicit Model(unsigned count) : queues(count) { EXPECT_TRUE(steering.allocate(count)); }
    unsigned send(uint32_t flow, unsigned cpu) {
        unsigned chosen =
            steering.choose(flow, cpu, [&](unsigned queue) { return queues[queue].completed; });
        queues[chosen].frames.emplace_back(flow, next_sent[flow]++);
        steering.sent(flow, chosen, ++queues[chosen].accepted);
        return chosen;
    }
    void complete(unsigned number) {
        Queue& queue = queues[number];
        if (queue.frames.empty()) return;
        auto [flow, sequence] = queue.frames.front();
        queue.frames.pop_front();
        queue.completed++;
        EXPECT_EQ(sequence, last_seen[flow]++) << "flow " << flow;
    }
};

TEST(TransmitSteering, FlowsStayInOrder) {
    std::mt19937 random(1);
    for (unsigned queue_count : {2u, 3u, 8u}) {
        Model model(queue_count);
        int moves = 0;
        std::map<uint32_t, unsigned> last_queue;
        for (int step = 0; step < 200'000; step++) {
            if (random() % 2) {
                // More flows than the table has places: some share one.
                uint32_t flow = random() % 2000;
                unsigned queue = model.send(flow, random() % queue_count);
                auto [known, is_new] = last_queue.emplace(flow, queue);
                moves += !is_new && known->second != queue;
                known->second = queue;
            } else {
                model.complete(random() % queue_count);
            }
        }
        EXPECT_GT(moves, 1000);
    }
}

TEST(TransmitSteering, AnIdleFlowFollowsItsCpu) {
    Model model(4);
    EXPECT_EQ(model.send(7, 2), 2u);
    EXPECT_EQ(model.send(7, 3), 2u) << "a frame is on its way";
    model.complete(2);
    EXPECT_EQ(model.send(7, 3), 2u);
    model.complete(2);
    model.complete(2);
    EXPECT_EQ(model.send(7, 3), 3u);
    EXPECT_EQ(model.send(8, 0), 0u) << "another flow";
}

}  // namespace
}  // namespace coracle::net
