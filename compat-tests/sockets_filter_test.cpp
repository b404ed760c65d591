// Classic BPF on sockets (man 7 socket: SO_ATTACH_FILTER; Documentation/networking/filter.rst).
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <initializer_list>
#include <vector>

#include "expect_errno.h"
#include "inet_support.h"

namespace {

constexpr int kPatienceMs = 60'000;
using Program = std::vector<sock_filter>;

sock_filter statement(int code, uint32_t k) {
    return BPF_STMT(static_cast<uint16_t>(code), k);
}
sock_filter jump(int code, uint32_t k, int yes, int no) {
    return BPF_JUMP(static_cast<uint16_t>(code), k, static_cast<uint8_t>(yes),
                    static_cast<uint8_t>(no));
}
sock_filter keep(uint32_t count) {
    return statement(BPF_RET | BPF_K, count);
}

int attach(int fd, const Program& program) {
    sock_fprog code{static_cast<unsigned short>(program.size()),
                    const_cast<sock_filter*>(program.data())};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof(code));
}
int detach(int fd) {
    int nothing = 0;
    return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &nothing, sizeof(nothing));
}

class FilterTest : public testing::Test {
  protected:
    void SetUp() override {
        receiver = socket(AF_INET, SOCK_DGRAM, 0);
        sender = socket(AF_INET, SOCK_DGRAM, 0);
        sockaddr_in address = loopback();
        socklen_t length = sizeof(address);
        ASSERT_EQ(bind(receiver, reinterpret_cast<sockaddr*>(&address), length), 0);
        ASSERT_EQ(getsockname(receiver, reinterpret_cast<sockaddr*>(&address), &length), 0);
        port = ntohs(address.sin_port);
        ASSERT_EQ(connect(sender, reinterpret_cast<sockaddr*>(&address), length), 0);
    }
    void TearDown() override {
        close(receiver);
        close(sender);
    }
    void send_text(const std::string& text) {
        ASSERT_EQ(send(sender, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    }
    // What arrives next, or "-" if nothing does.
    std::string next() {
        char bytes[100];
        ssize_t size = recv(receiver, bytes, sizeof(bytes), MSG_DONTWAIT);
        return size < 0 ? "-" : std::string(bytes, static_cast<size_t>(size));
    }
    // What becomes of "abcdef" under a program.
    std::string filtered(const Program& program) {
        EXPECT_EQ(attach(receiver, program), 0) << strerror(errno);
        send_text("abcdef");
        return next();
    }
    // The value that a program leaves in A, which it must not end with itself.
    uint32_t computed(Program program) {
        // Bit by bit: the datagram comes if the bit is set.
        uint32_t value = 0;
        program.push_back({});
        program.push_back(keep(0xffff));
        program.push_back(keep(0));
        for (unsigned bit = 0; bit < 32; bit++) {
            program[program.size() - 3] = jump(BPF_JMP | BPF_JSET | BPF_K, 1u << bit, 0, 1);
            if (filtered(program) != "-") value |= 1u << bit;
        }
        return value;
    }

    int receiver = -1, sender = -1;
    uint16_t port = 0;
};

constexpr int kLoadAbsolute = BPF_LD | BPF_ABS, kLoadIndexed = BPF_LD | BPF_IND;

TEST_F(FilterTest, KeepsAllOrNothing) {
    EXPECT_EQ(filtered({keep(0xffffffff)}), "abcdef");
    EXPECT_EQ(filtered({keep(0)}), "-");
    ASSERT_EQ(detach(receiver), 0);
    send_text("ghi");
    EXPECT_EQ(next(), "ghi");
}

TEST_F(FilterTest, CutsToTheHeaderAtLeast) {
    EXPECT_EQ(filtered({keep(8 + 3)}), "abc") << "8 bytes are UDP's header";
    EXPECT_EQ(filtered({keep(1)}), "");
}

TEST_F(FilterTest, LooksAtBytesAndHeaders) {
    EXPECT_EQ(filtered({statement(kLoadAbsolute | BPF_B, 8),
                        jump(BPF_JMP | BPF_JEQ | BPF_K, 'a', 0, 1), keep(100), keep(0)}),
              "abcdef");
    EXPECT_EQ(computed({statement(kLoadAbsolute | BPF_H, 2)}), port);
    EXPECT_EQ(computed({statement(kLoadAbsolute | BPF_W, 9)}), 0x62636465u);
    EXPECT_EQ(computed({statement(BPF_LDX | BPF_IMM, 10), statement(kLoadIndexed | BPF_B, 1)}),
              'd' + 0u);
    EXPECT_EQ(computed({statement(kLoadAbsolute | BPF_B, static_cast<uint32_t>(SKF_NET_OFF) + 9)}),
              IPPROTO_UDP + 0u);
    EXPECT_EQ(computed({statement(kLoadAbsolute | BPF_W, static_cast<uint32_t>(SKF_NET_OFF) + 12)}),
              0x7f000001u);
    EXPECT_EQ(computed({statement(BPF_LD | BPF_W | BPF_LEN, 0)}), 14u);
    EXPECT_EQ(computed({statement(BPF_LDX | BPF_W | BPF_LEN, 0), statement(BPF_MISC | BPF_TXA, 0)}),
              14u);
    EXPECT_EQ(computed({statement(BPF_LDX | BPF_B | BPF_MSH, 8), statement(BPF_MISC | BPF_TXA, 0)}),
              ('a' & 15) * 4u);
}

TEST_F(FilterTest, BytesBeyondTheEndDropTheMessage) {
    EXPECT_EQ(filtered({statement(kLoadAbsolute | BPF_B, 14), keep(100)}), "-");
    EXPECT_EQ(filtered({statement(kLoadAbsolute | BPF_W, 11), keep(100)}), "-");
    EXPECT_EQ(filtered({statement(BPF_LDX | BPF_IMM, 0x7fffffff),
                        statement(kLoadIndexed | BPF_W, 1), keep(100)}),
              "-");
    EXPECT_EQ(filtered({statement(BPF_LDX | BPF_B | BPF_MSH, 14), keep(100)}), "-");
}

TEST_F(FilterTest, Computes) {
    auto of = [&](int operation, uint32_t a, uint32_t k) {
        uint32_t constant =
            computed({statement(BPF_LD | BPF_IMM, a), statement(BPF_ALU | operation | BPF_K, k)});
        uint32_t by_x = computed({statement(BPF_LDX | BPF_IMM, k), statement(BPF_LD | BPF_IMM, a),
                                  statement(BPF_ALU | operation | BPF_X, 0)});
        EXPECT_EQ(constant, by_x);
        return constant;
    };
    EXPECT_EQ(of(BPF_ADD, 0xffffffff, 3), 2u);
    EXPECT_EQ(of(BPF_SUB, 1, 3), 0xfffffffeu);
    EXPECT_EQ(of(BPF_MUL, 0x10001, 0x10003), 0x40003u);
    EXPECT_EQ(of(BPF_DIV, 0xfffffff0, 16), 0x0fffffffu);
    EXPECT_EQ(of(BPF_MOD, 0xffffffff, 10), 5u);
    EXPECT_EQ(of(BPF_AND, 0xff00ff00, 0x0ff00ff0), 0x0f000f00u);
    EXPECT_EQ(of(BPF_OR, 0xf0, 0x0f), 0xffu);
    EXPECT_EQ(of(BPF_XOR, 0xff, 0x0f), 0xf0u);
    EXPECT_EQ(of(BPF_LSH, 1, 31), 0x80000000u);
    EXPECT_EQ(of(BPF_RSH, 0x80000000, 31), 1u);
    EXPECT_EQ(computed({statement(BPF_LD | BPF_IMM, 5), statement(BPF_ALU | BPF_NEG, 0)}),
              0xfffffffbu);
    EXPECT_EQ(computed({statement(BPF_LD | BPF_IMM, 77), statement(BPF_ST, 15),
                        statement(BPF_LD | BPF_IMM, 0), statement(BPF_LDX | BPF_MEM, 15),
                        statement(BPF_STX, 3), statement(BPF_LD | BPF_MEM, 3)}),
              77u);
    for (int operation : {BPF_DIV, BPF_MOD}) {
        EXPECT_EQ(filtered({statement(BPF_LD | BPF_IMM, 1), statement(BPF_LDX | BPF_IMM, 0),
                            statement(BPF_ALU | operation | BPF_X, 0), keep(100)}),
                  "-");
    }
}

TEST_F(FilterTest, Jumps) {
    auto holds = [&](int comparison, uint32_t a, uint32_t k) {
        Program constant{statement(BPF_LD | BPF_IMM, a),
                         jump(BPF_JMP | comparison | BPF_K, k, 0, 1), keep(100), keep(0)};
        Program by_x{statement(BPF_LDX | BPF_IMM, k), statement(BPF_LD | BPF_IMM, a),
                     jump(BPF_JMP | comparison | BPF_X, 0, 0, 1), keep(100), keep(0)};
        bool result = filtered(constant) != "-";
        EXPECT_EQ(filtered(by_x) != "-", result);
        return result;
    };
    EXPECT_TRUE(holds(BPF_JEQ, 5, 5));
    EXPECT_FALSE(holds(BPF_JEQ, 5, 6));
    EXPECT_TRUE(holds(BPF_JGT, 0x80000000, 5)) << "unsigned";
    EXPECT_FALSE(holds(BPF_JGT, 5, 5));
    EXPECT_TRUE(holds(BPF_JGE, 5, 5));
    EXPECT_TRUE(holds(BPF_JSET, 6, 3));
    EXPECT_FALSE(holds(BPF_JSET, 4, 3));
    EXPECT_EQ(filtered({jump(BPF_JMP | BPF_JA, 1, 0, 0), keep(0), keep(100)}), "abcdef");
}

TEST_F(FilterTest, AncillaryLoads) {
    auto ancillary = [](int which) {
        return statement(kLoadAbsolute | BPF_W, static_cast<uint32_t>(SKF_AD_OFF + which));
    };
    EXPECT_EQ(computed({ancillary(SKF_AD_PROTOCOL)}), ETHERTYPE_IP + 0u);
    EXPECT_EQ(computed({ancillary(SKF_AD_PKTTYPE)}), PACKET_HOST + 0u);
    EXPECT_EQ(computed({ancillary(SKF_AD_IFINDEX)}), if_nametoindex("lo"));
    EXPECT_EQ(computed({ancillary(SKF_AD_HATYPE)}), 772u) << "ARPHRD_LOOPBACK";
    EXPECT_EQ(computed({ancillary(SKF_AD_MARK)}), 0u);
    EXPECT_EQ(computed({ancillary(SKF_AD_VLAN_TAG_PRESENT)}), 0u);
    EXPECT_EQ(computed({statement(BPF_LD | BPF_IMM, 0xff), statement(BPF_LDX | BPF_IMM, 0x0f),
                        ancillary(SKF_AD_ALU_XOR_X)}),
              0xf0u);
    EXPECT_EQ(computed({ancillary(SKF_AD_PAY_OFFSET)}), 8u + 0u);
}

TEST_F(FilterTest, InvalidProgramsAreRefused) {
    const Program bad[] = {
        {},
        {statement(BPF_LD | BPF_IMM, 1)},  // no return
        {statement(0xffff, 0), keep(0)},   // no such instruction
        {statement(BPF_ALU | BPF_DIV | BPF_K, 0), keep(0)},
        {statement(BPF_ALU | BPF_MOD | BPF_K, 0), keep(0)},
        {statement(BPF_ALU | BPF_LSH | BPF_K, 32), keep(0)},
        {statement(BPF_LD | BPF_MEM, 16), keep(0)},
        {statement(BPF_ST, 16), keep(0)},
        {statement(BPF_LD | BPF_MEM, 0), keep(0)},  // never written
        {jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), statement(BPF_ST, 0),
         statement(BPF_LD | BPF_MEM, 0), keep(0)},  // not on every way
        {jump(BPF_JMP | BPF_JA, 1, 0, 0), keep(0)},
        {jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), keep(0)},
        {statement(kLoadAbsolute | BPF_W, static_cast<uint32_t>(SKF_AD_OFF) + 64), keep(0)},
        {statement(BPF_RET | BPF_X, 0)},
        {statement(BPF_ALU | BPF_NEG | BPF_X, 0), keep(0)},
        {statement(BPF_LD | BPF_B | BPF_LEN, 0), keep(0)},
        Program(4097, keep(0)),
    };
    for (const Program& program : bad) {
        EXPECT_ERRNO(EINVAL, attach(receiver, program));
    }
    EXPECT_EQ(attach(receiver, {statement(BPF_ST, 0), statement(BPF_LD | BPF_MEM, 0), keep(1)}), 0);
    sock_fprog code{1, reinterpret_cast<sock_filter*>(8)};
    EXPECT_ERRNO(EFAULT, setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof(code)));
    EXPECT_ERRNO(EINVAL, setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &code, 8));
    code = {1, nullptr};
    EXPECT_ERRNO(EINVAL, setsockopt(receiver, SOL_SOCKET, SO_ATTACH_FILTER, &code, sizeof(code)));
}

TEST_F(FilterTest, IsReadBack) {
    socklen_t length = 100;
    sock_filter got[4] = {};
    EXPECT_EQ(getsockopt(receiver, SOL_SOCKET, SO_GET_FILTER, got, &length), 0);
    EXPECT_EQ(length, 0u);
    Program program{statement(BPF_LD | BPF_IMM, 7), keep(5)};
    ASSERT_EQ(attach(receiver, program), 0);
    length = 0;
    EXPECT_EQ(getsockopt(receiver, SOL_SOCKET, SO_GET_FILTER, nullptr, &length), 0);
    EXPECT_EQ(length, 2u) << "instructions";
    length = 1;
    EXPECT_ERRNO(EINVAL, getsockopt(receiver, SOL_SOCKET, SO_GET_FILTER, got, &length));
    length = 4;
    EXPECT_EQ(getsockopt(receiver, SOL_SOCKET, SO_GET_FILTER, got, &length), 0);
    EXPECT_EQ(length, 2u);
    EXPECT_EQ(memcmp(got, program.data(), 2 * sizeof(sock_filter)), 0);
}

TEST_F(FilterTest, DetachAndLock) {
    EXPECT_ERRNO(ENOENT, detach(receiver));
    ASSERT_EQ(attach(receiver, {keep(100)}), 0);
    int one = 1, zero = 0;
    ASSERT_EQ(setsockopt(receiver, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)), 0);
    EXPECT_ERRNO(EPERM, attach(receiver, {keep(100)}));
    EXPECT_ERRNO(EPERM, detach(receiver));
    EXPECT_ERRNO(EPERM, setsockopt(receiver, SOL_SOCKET, SO_LOCK_FILTER, &zero, sizeof(zero)));
    EXPECT_EQ(setsockopt(receiver, SOL_SOCKET, SO_LOCK_FILTER, &one, sizeof(one)), 0);
}

TEST(StreamFilter, DropsSegmentsUntilItIsDetached) {
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = loopback();
    socklen_t length = sizeof(address);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(listen(listener, 4), 0);
    ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &length), 0);
    // A listener that takes no SYN has no connections.
    ASSERT_EQ(attach(listener, {keep(0)}), 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    EXPECT_ERRNO(EINPROGRESS, connect(client, reinterpret_cast<sockaddr*>(&address), length));
    pollfd item{client, POLLOUT, 0};
    EXPECT_EQ(poll(&item, 1, 50), 0);
    ASSERT_EQ(detach(listener), 0);
    ASSERT_EQ(poll(&item, 1, kPatienceMs), 1) << "the SYN is sent again";
    int server = accept(listener, nullptr, nullptr);
    ASSERT_GE(server, 0);
    // Of segments with data, those alone that begin with 'x': the rest come again, in vain.
    Program program{statement(kLoadAbsolute | BPF_B, 12),
                    statement(BPF_ALU | BPF_RSH | BPF_K, 4),
                    statement(BPF_ALU | BPF_LSH | BPF_K, 2),
                    statement(BPF_MISC | BPF_TAX, 0),
                    statement(BPF_LD | BPF_W | BPF_LEN, 0),
                    jump(BPF_JMP | BPF_JEQ | BPF_X, 0, 2, 0),
                    statement(kLoadIndexed | BPF_B, 0),
                    jump(BPF_JMP | BPF_JEQ | BPF_K, 'x', 0, 1),
                    keep(0xffff),
                    keep(0)};
    ASSERT_EQ(attach(server, program), 0);
    ASSERT_EQ(send(client, "xyz", 3, 0), 3);
    char bytes[10];
    EXPECT_EQ(recv(server, bytes, 10, 0), 3);
    ASSERT_EQ(send(client, "abc", 3, 0), 3);
    item = {server, POLLIN, 0};
    EXPECT_EQ(poll(&item, 1, 50), 0);
    ASSERT_EQ(detach(server), 0);
    EXPECT_EQ(recv(server, bytes, 10, 0), 3) << "it is sent again";
    for (int fd : {listener, client, server}) close(fd);
}

TEST(PacketFilter, CutsFrames) {
    int packets = socket(AF_PACKET, SOCK_RAW, 0);  // hears nothing before the filter is there
    if (packets < 0) GTEST_SKIP() << "needs root";
    sockaddr_ll here{};
    here.sll_family = AF_PACKET;
    here.sll_protocol = htons(ETH_P_ALL);
    here.sll_ifindex = static_cast<int>(if_nametoindex("lo"));
    int one = 1;
    ASSERT_EQ(setsockopt(packets, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)), 0);
    // UDP over IPv4 to port 9 that begins with "mark", 50 bytes of it.
    ASSERT_EQ(attach(packets,
                     {statement(kLoadAbsolute | BPF_H, 12),
                      jump(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 5),
                      statement(BPF_LDX | BPF_B | BPF_MSH, 14), statement(kLoadIndexed | BPF_H, 16),
                      jump(BPF_JMP | BPF_JEQ | BPF_K, 9, 0, 2), statement(kLoadIndexed | BPF_W, 22),
                      jump(BPF_JMP | BPF_JEQ | BPF_K, 0x6d61726b, 1, 0), keep(0), keep(50)}),
              0);
    ASSERT_EQ(bind(packets, reinterpret_cast<sockaddr*>(&here), sizeof(here)), 0);
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in to = loopback(9);
    for (const char* text : {"other", "mark of a filter's test"}) {
        ASSERT_GT(
            sendto(sender, text, strlen(text), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    }
    char bytes[200], control[200];
    iovec data{bytes, sizeof(bytes)};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    ASSERT_EQ(recvmsg(packets, &message, 0), 50);
    EXPECT_EQ(std::string(bytes + 42, 8), "mark of ");
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    ASSERT_TRUE(head);
    tpacket_auxdata auxiliary;
    memcpy(&auxiliary, CMSG_DATA(head), sizeof(auxiliary));
    EXPECT_EQ(auxiliary.tp_len, 14u + 20 + 8 + 23);
    EXPECT_EQ(auxiliary.tp_snaplen, 50u);
    close(sender);
    close(packets);
}

}  // namespace
