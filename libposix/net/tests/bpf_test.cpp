// Classic BPF: programs of libpcap's kind, and random ones, none of which may leave the packet.
// What each instruction does is compared with Linux by compat-tests/sockets_filter_test.cpp.
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "kernel-min/lib/random.h"
#include "libposix/net/filter/bpf_program.h"

uint64_t coracle::random_u64() {
    return 4;
}

namespace coracle::net {
namespace {

using Program = std::vector<sock_filter>;

sock_filter statement(int code, uint32_t k) {
    return BPF_STMT(static_cast<uint16_t>(code), k);
}

BufferPtr packet_of(const std::string& text, size_t headroom = 0) {
    BufferPtr packet = Buffer::allocate(headroom + text.size(), headroom);
    memcpy(packet->append(text.size()), text.data(), text.size());
    return packet;
}

uint32_t run(const Program& program, const BpfPacket& packet) {
    auto checked = BpfProgram::create(program);
    EXPECT_TRUE(checked.ok());
    return checked.ok() ? checked.value()->run(packet) : ~0u;
}

TEST(Bpf, BytesOfAChain) {
    BufferPtr packet = packet_of("abc");
    packet->set_next(packet_of("defgh"));
    const Program word{statement(BPF_LD | BPF_W | BPF_ABS, 1), statement(BPF_RET | BPF_A, 0)};
    EXPECT_EQ(run(word, {.chain = *packet}), 0x62636465u);
    EXPECT_EQ(run(word, {.chain = *packet, .start = 2}), 0x64656667u);
    EXPECT_EQ(run(word, {.chain = *packet, .start = 4}), 0u) << "one byte is missing";
}

TEST(Bpf, HeadersThatWereTakenOff) {
    BufferPtr packet = packet_of("EthernetIPpayload", 10);
    packet->pull(10);
    const BpfPacket what{.chain = *packet,
                         .start = -2,
                         .network = -2,
                         .link = -10,
                         .has_network = true,
                         .has_link = true};
    auto byte = [&](uint32_t at) {
        return run({statement(BPF_LD | BPF_B | BPF_ABS, at), statement(BPF_RET | BPF_A, 0)}, what);
    };
    EXPECT_EQ(byte(0), 'I' + 0u);
    EXPECT_EQ(byte(2), 'p' + 0u);
    EXPECT_EQ(byte(static_cast<uint32_t>(SKF_NET_OFF) + 1), 'P' + 0u);
    EXPECT_EQ(byte(static_cast<uint32_t>(SKF_LL_OFF)), 'E' + 0u);
    EXPECT_EQ(run({statement(BPF_LD | BPF_W | BPF_LEN, 0), statement(BPF_RET | BPF_A, 0)}, what),
              9u);
    // Nothing in front of the block.
    const BpfPacket beyond{.chain = *packet, .link = -1000, .has_link = true};
    EXPECT_EQ(run({statement(BPF_LD | BPF_B | BPF_ABS, static_cast<uint32_t>(SKF_LL_OFF)),
                   statement(BPF_RET | BPF_K, 1)},
                  beyond),
              0u);
}

TEST(Bpf, RandomProgramsStayInside) {
    std::mt19937 random(7);
    int valid = 0;
    const uint32_t offsets[] = {0,
                                1,
                                12,
                                40,
                                0x7fffffff,
                                static_cast<uint32_t>(SKF_AD_OFF),
                                static_cast<uint32_t>(SKF_NET_OFF),
                                static_cast<uint32_t>(SKF_LL_OFF),
                                0xffffffff,
                                0x80000000};
    for (int round = 0; round < 300'000; round++) {
        Program program(1 + random() % 8);
        for (sock_filter& instruction : program) {
            // Mostly codes that exist.
            instruction.code = static_cast<uint16_t>(random() % 8 ? random() % 0xb8 : random());
            instruction.jt = static_cast<uint8_t>(random() % 6);
            instruction.jf = static_cast<uint8_t>(random() % 6);
            instruction.k = offsets[random() % std::size(offsets)] + random() % 24;
        }
        program.back().code = random() % 2 ? BPF_RET | BPF_K : BPF_RET | BPF_A;
        auto checked = BpfProgram::create(program);
        if (!checked.ok()) continue;
        valid++;
        std::string bytes(random() % 64, 'x');
        for (char& c : bytes) c = static_cast<char>(random());
        // Wrapped, so that the sanitizer knows where it ends.
        BufferPtr packet = Buffer::wrap(
            bytes.data(), bytes.size(), [](void*, void*) {}, nullptr);
        (void)checked.value()->run({.chain = *packet,
                                    .start = static_cast<int32_t>(random() % 8) - 4,
                                    .network = static_cast<int32_t>(random() % 64) - 32,
                                    .link = static_cast<int32_t>(random() % 64) - 32,
                                    .has_network = random() % 2 != 0,
                                    .has_link = random() % 2 != 0,
                                    .protocol = 0x0800,
                                    .interface_index = 1});
    }
    EXPECT_GT(valid, 10'000);
}

}  // namespace
}  // namespace coracle::net
