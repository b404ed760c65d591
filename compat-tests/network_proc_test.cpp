// /proc/net's tables of sockets (man 5 proc): a socket of ours has its line, in Linux's columns.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace {

std::vector<std::string> lines_of(const std::string& name) {
    std::ifstream file("/proc/net/" + name);
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
}

std::vector<std::string> words_of(const std::string& line) {
    std::istringstream text(line);
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    return words;
}

std::string inode_of(int fd) {
    struct stat status;
    fstat(fd, &status);
    return std::to_string(status.st_ino);
}

// The line that has this word in this column (from 0); empty if there is none.
std::string line_with(const std::string& table, size_t column, const std::string& word) {
    for (const std::string& line : lines_of(table)) {
        std::vector<std::string> words = words_of(line);
        if (words.size() > column && words[column] == word) return line;
    }
    return "";
}

std::string port_text(int fd) {
    sockaddr_storage at = {};
    socklen_t size = sizeof(at);
    getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size);
    char text[8];
    snprintf(text, sizeof(text), "%04X", ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port));
    return text;
}

struct TcpPair {
    int listener, client, server;
    explicit TcpPair(int family = AF_INET) {
        listener = socket(family, SOCK_STREAM, 0);
        sockaddr_storage at = {};
        socklen_t size = sizeof(at);
        at.ss_family = static_cast<sa_family_t>(family);
        if (family == AF_INET) {
            reinterpret_cast<sockaddr_in*>(&at)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        } else {
            reinterpret_cast<sockaddr_in6*>(&at)->sin6_addr = in6addr_loopback;
        }
        auto* any = reinterpret_cast<sockaddr*>(&at);
        bind(listener, any, family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
        listen(listener, 5);
        getsockname(listener, any, &size);
        client = socket(family, SOCK_STREAM, 0);
        connect(client, any, size);
        server = accept(listener, nullptr, nullptr);
    }
    ~TcpPair() {
        for (int fd : {client, server, listener}) close(fd);
    }
};

constexpr size_t kInodeColumn = 9;

TEST(ProcNet, TcpTitleAndWidth) {
    TcpPair pair;
    std::vector<std::string> lines = lines_of("tcp");
    ASSERT_GE(lines.size(), 4u);
    EXPECT_EQ(lines[0].substr(0, 92),
              "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  "
              "timeout i");
    for (const std::string& line : lines) EXPECT_EQ(line.size(), 149u) << line;
}

TEST(ProcNet, TcpListener) {
    TcpPair pair;
    std::string line = line_with("tcp", kInodeColumn, inode_of(pair.listener));
    std::vector<std::string> words = words_of(line);
    ASSERT_EQ(words.size(), 17u) << line;
    EXPECT_EQ(words[1], "0100007F:" + port_text(pair.listener));
    EXPECT_EQ(words[2], "00000000:0000");
    EXPECT_EQ(words[3], "0A");
    EXPECT_EQ(words[4], "00000000:00000000");
    EXPECT_EQ(words[5], "00:00000000");
    EXPECT_EQ(words[6], "00000000");
    EXPECT_EQ(words[7], std::to_string(geteuid()));
    EXPECT_EQ(words[10], "1");
    EXPECT_EQ(words[12], "100");
    EXPECT_EQ(words[15], "10");
    EXPECT_EQ(words[16], "0");
    // A connection that waits is counted where the bytes to read are otherwise.
    TcpPair* other = &pair;
    sockaddr_in at = {};
    socklen_t size = sizeof(at);
    getsockname(other->listener, reinterpret_cast<sockaddr*>(&at), &size);
    int waiting = socket(AF_INET, SOCK_STREAM, 0);
    ASSERT_EQ(connect(waiting, reinterpret_cast<sockaddr*>(&at), size), 0);
    words = words_of(line_with("tcp", kInodeColumn, inode_of(pair.listener)));
    EXPECT_EQ(words[4], "00000000:00000001");
    close(waiting);
}

TEST(ProcNet, TcpConnectionWithData) {
    TcpPair pair;
    ASSERT_EQ(send(pair.client, "seven!!", 7, 0), 7);
    usleep(100'000);
    std::string line = line_with("tcp", kInodeColumn, inode_of(pair.server));
    std::vector<std::string> words = words_of(line);
    ASSERT_EQ(words.size(), 17u) << line;
    EXPECT_EQ(words[1], "0100007F:" + port_text(pair.server));
    EXPECT_EQ(words[2], "0100007F:" + port_text(pair.client));
    EXPECT_EQ(words[3], "01");
    EXPECT_EQ(words[4], "00000000:00000007");
    EXPECT_EQ(words[6], "00000000");
    EXPECT_EQ(words[15], "10");
    EXPECT_EQ(words[16], "-1");
    EXPECT_NE(line_with("tcp", kInodeColumn, inode_of(pair.client)), "");
}

TEST(ProcNet, TcpStatesAfterClose) {
    TcpPair pair;
    shutdown(pair.client, SHUT_WR);
    usleep(50'000);
    EXPECT_EQ(words_of(line_with("tcp", kInodeColumn, inode_of(pair.client)))[3], "05");
    EXPECT_EQ(words_of(line_with("tcp", kInodeColumn, inode_of(pair.server)))[3], "08");
    std::string local = "0100007F:" + port_text(pair.client);
    close(pair.server);
    pair.server = -1;
    usleep(50'000);
    std::vector<std::string> words = words_of(line_with("tcp", 1, local));
    ASSERT_GE(words.size(), 12u);
    EXPECT_EQ(words[3], "06");
    EXPECT_EQ(words[5].substr(0, 3), "03:");
    EXPECT_EQ(words[7], "0");
    EXPECT_EQ(words[9], "0");
    EXPECT_EQ(words[10], "3");
}

TEST(ProcNet, Tcp6) {
    TcpPair pair(AF_INET6);
    std::vector<std::string> words =
        words_of(line_with("tcp6", kInodeColumn, inode_of(pair.server)));
    ASSERT_EQ(words.size(), 17u);
    EXPECT_EQ(words[1], "00000000000000000000000001000000:" + port_text(pair.server));
    EXPECT_EQ(words[3], "01");
    EXPECT_EQ(line_with("tcp", kInodeColumn, inode_of(pair.server)), "");
}

TEST(ProcNet, RawSocketShowsItsProtocol) {
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
    if (fd < 0 && errno == EPERM) GTEST_SKIP() << "raw sockets need CAP_NET_RAW";
    std::string line = line_with("raw", kInodeColumn, inode_of(fd));
    std::vector<std::string> words = words_of(line);
    ASSERT_EQ(words.size(), 13u) << line;
    EXPECT_EQ(words[1], "00000000:0011");
    EXPECT_EQ(words[2], "00000000:0000");
    EXPECT_EQ(words[3], "07");
    EXPECT_EQ(words[10], "2");
    EXPECT_EQ(words[12], "0");
    close(fd);
}

TEST(ProcNet, PacketSocket) {
    int fd = socket(AF_PACKET, SOCK_RAW, htons(0x88b5));
    if (fd < 0 && errno == EPERM) GTEST_SKIP() << "packet sockets need CAP_NET_RAW";
    EXPECT_EQ(lines_of("packet")[0],
              "sk               RefCnt Type Proto  Iface R Rmem   User   Inode");
    std::string line = line_with("packet", 8, inode_of(fd));
    std::vector<std::string> words = words_of(line);
    ASSERT_EQ(words.size(), 9u) << line;
    EXPECT_EQ(words[2], "3");
    EXPECT_EQ(words[3], "88b5");
    EXPECT_EQ(words[4], "0");
    EXPECT_EQ(words[5], "1");
    EXPECT_EQ(line.substr(16, 1), " ");
    close(fd);
}

TEST(ProcNet, UnixSockets) {
    EXPECT_EQ(lines_of("unix")[0], "Num       RefCount Protocol Flags    Type St Inode Path");
    constexpr size_t kUnixInode = 6, kPath = 7;
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    std::vector<std::string> words = words_of(line_with("unix", kUnixInode, inode_of(ends[0])));
    ASSERT_EQ(words.size(), 7u);
    EXPECT_EQ(words[1], "00000003");
    EXPECT_EQ(words[2], "00000000");
    EXPECT_EQ(words[3], "00000000");
    EXPECT_EQ(words[4], "0001");
    EXPECT_EQ(words[5], "03");
    sockaddr_un name = {};
    name.sun_family = AF_UNIX;
    memcpy(name.sun_path, "\0proc-net-test", 14);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof(sa_family_t) + 14), 0);
    ASSERT_EQ(listen(listener, 1), 0);
    words = words_of(line_with("unix", kUnixInode, inode_of(listener)));
    ASSERT_EQ(words.size(), 8u);
    EXPECT_EQ(words[1], "00000002");
    EXPECT_EQ(words[3], "00010000");
    EXPECT_EQ(words[4], "0005");
    EXPECT_EQ(words[5], "01");
    EXPECT_EQ(words[kPath], "@proc-net-test");
    for (int fd : {ends[0], ends[1], listener}) close(fd);
}

TEST(ProcNet, CountersHaveTheirNames) {
    TcpPair pair;
    auto value = [](const std::string& file, const std::string& title, const std::string& name) {
        std::vector<std::string> lines = lines_of(file);
        for (size_t i = 0; i + 1 < lines.size(); i += 2) {
            std::vector<std::string> names = words_of(lines[i]), values = words_of(lines[i + 1]);
            EXPECT_EQ(names.size(), values.size()) << names[0];
            if (names[0] != title) continue;
            for (size_t at = 0; at < names.size() && at < values.size(); at++) {
                if (names[at] == name) return values[at];
            }
        }
        return std::string();
    };
    EXPECT_EQ(value("snmp", "Tcp:", "RtoAlgorithm"), "1");
    EXPECT_EQ(value("snmp", "Tcp:", "RtoMin"), "200");
    EXPECT_EQ(value("snmp", "Tcp:", "RtoMax"), "120000");
    EXPECT_EQ(value("snmp", "Tcp:", "MaxConn"), "-1");
    EXPECT_GE(atol(value("snmp", "Tcp:", "ActiveOpens").c_str()), 1);
    EXPECT_GE(atol(value("snmp", "Tcp:", "CurrEstab").c_str()), 2);
    EXPECT_NE(value("netstat", "TcpExt:", "TCPTimeouts"), "");
    EXPECT_NE(value("netstat", "IpExt:", "InOctets"), "");
}

TEST(ProcNet, SockstatCounts) {
    TcpPair pair;
    std::vector<std::string> lines = lines_of("sockstat");
    ASSERT_EQ(lines.size(), 6u);
    EXPECT_EQ(words_of(lines[0])[0], "sockets:");
    std::vector<std::string> tcp = words_of(lines[1]);
    ASSERT_EQ(tcp.size(), 11u);
    EXPECT_EQ(tcp[0], "TCP:");
    EXPECT_GE(atoi(tcp[2].c_str()), 3);
    EXPECT_EQ(tcp[5], "tw");
    EXPECT_EQ(words_of(lines_of("sockstat6")[0])[0], "TCP6:");
}

TEST(ProcNet, Groups) {
    EXPECT_EQ(lines_of("igmp")[0],
              "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter");
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    ip_mreqn request = {};
    inet_pton(AF_INET, "239.1.2.3", &request.imr_multiaddr);
    request.imr_ifindex = 1;
    ASSERT_EQ(setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof(request)), 0);
    EXPECT_EQ(words_of(line_with("igmp", 0, "030201EF")).at(1), "1");
    close(fd);
    EXPECT_EQ(line_with("igmp", 0, "030201EF"), "");
}

}  // namespace
