// TCP Fast Open (RFC 7413, man 7 tcp): MSG_FASTOPEN, TCP_FASTOPEN_CONNECT and TCP_FASTOPEN over
// loopback, in a network of the test's own: a namespace, or the VM.
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "expect_errno.h"
#include "inet_support.h"

namespace {

constexpr const char* kSetting = "/proc/sys/net/ipv4/tcp_fastopen";
constexpr int kClient = 1, kServer = 2, kEveryListener = 0x400;

bool enter_own_network() {
    utsname name = {};
    uname(&name);
    if (strstr(name.version, "Coracle")) return true;
    if (unshare(CLONE_NEWNET) != 0) return false;
    Descriptor fd(socket(AF_INET, SOCK_DGRAM, 0));
    ifreq request = {};
    strcpy(request.ifr_name, "lo");
    request.ifr_flags = IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

std::string read_setting() {
    std::ifstream file(kSetting);
    std::string text;
    std::getline(file, text);
    return text;
}
bool write_setting(const std::string& text) {
    std::ofstream file(kSetting);
    file << text << std::flush;
    return file.good();
}

// A counter of /proc/net/netstat.
long counter(const std::string& wanted) {
    std::ifstream file("/proc/net/netstat");
    std::string names, values;
    while (std::getline(file, names) && std::getline(file, values)) {
        std::istringstream name_stream(names), value_stream(values);
        std::string name, value;
        while (name_stream >> name && value_stream >> value) {
            if (name == wanted) return std::stol(value);
        }
    }
    return -1;
}

ssize_t send_fast(int fd, const sockaddr_in& to, const std::string& text, int flags = 0) {
    return sendto(fd, text.data(), text.size(), flags | MSG_FASTOPEN | MSG_NOSIGNAL,
                  reinterpret_cast<const sockaddr*>(&to), sizeof(to));
}
ssize_t size_of(const std::string& text) {
    return static_cast<ssize_t>(text.size());
}
int connect_to(int fd, sockaddr_in& to) {
    return connect(fd, as_any(to), sizeof(to));
}
int set(int fd, int option, int value) {
    return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
}
int get(int fd, int option) {
    int value = -12345;
    socklen_t length = sizeof(value);
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, option, &value, &length), 0);
    return value;
}
bool had_syn_data(int fd) {
    tcp_info info = {};
    socklen_t length = sizeof(info);
    EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length), 0);
    return info.tcpi_options & TCPI_OPT_SYN_DATA;
}
// What comes until there are so many bytes.
std::string receive(int fd, size_t size) {
    std::string text(size, '\0');
    const ssize_t got = recv(fd, text.data(), size, MSG_WAITALL);
    text.resize(got < 0 ? 0 : static_cast<size_t>(got));
    return text;
}

class FastOpen : public testing::Test {
  protected:
    static void SetUpTestSuite() { has_network_ = enter_own_network(); }
    void SetUp() override {
        if (!has_network_) GTEST_SKIP() << "a network of its own needs CAP_SYS_ADMIN";
        ASSERT_TRUE(write_setting(std::to_string(kClient)));
        listener_ = make_listener(address_);
        { Descriptor gone = make_listener(nobody_); }
    }
    Descriptor open(int flags = 0) { return Descriptor(socket(AF_INET, SOCK_STREAM | flags, 0)); }
    Descriptor accept_one() { return Descriptor(accept(listener_, nullptr, nullptr)); }
    // More than a SYN and the buffers take; all of it arrives.
    void send_large_fast(int client) {
        const std::string text(300'000, 'x');
        std::string got;
        std::thread reader([&] { got = receive(accept_one(), text.size()); });
        EXPECT_EQ(send_fast(client, address_, text), size_of(text));
        reader.join();
        EXPECT_EQ(got, text);
    }
    void be_server() {
        ASSERT_TRUE(write_setting(std::to_string(kClient | kServer)));
        ASSERT_EQ(set(listener_, TCP_FASTOPEN, 8), 0);
    }
    // Has this host's cookie in the cache.
    void learn_cookie() {
        be_server();
        Descriptor client = open();
        ASSERT_EQ(send_fast(client, address_, "cookie"), 6);
        Descriptor server = accept_one();
        ASSERT_EQ(receive(server, 6), "cookie");
    }

    static bool has_network_;
    sockaddr_in address_ = {}, nobody_ = {};
    Descriptor listener_;
};
bool FastOpen::has_network_ = false;

// --- With Linux's default: clients alone ---

TEST_F(FastOpen, BlockingSendConnects) {
    Descriptor client = open();
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    Descriptor server = accept_one();
    EXPECT_EQ(receive(server, 5), "hello");
    EXPECT_FALSE(had_syn_data(client));
    EXPECT_ERRNO(EISCONN, send_fast(client, address_, "again"));
    EXPECT_ERRNO(EISCONN, send(client, "again", 5, MSG_FASTOPEN));
    EXPECT_EQ(send(client, "again", 5, 0), 5);
}

TEST_F(FastOpen, NonBlockingSendConnectsInTheBackground) {
    Descriptor client = open(SOCK_NONBLOCK);
    EXPECT_ERRNO(EINPROGRESS, send_fast(client, address_, "hello"));
    EXPECT_EQ(events_of(client, POLLOUT), POLLOUT);
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    EXPECT_EQ(receive(accept_one(), 5), "hello");
    EXPECT_ERRNO(EISCONN, connect_to(client, address_));
}

TEST_F(FastOpen, MessageThatMayNotWait) {
    Descriptor client = open();
    EXPECT_ERRNO(EINPROGRESS, send_fast(client, address_, "hello", MSG_DONTWAIT));
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    EXPECT_EQ(receive(accept_one(), 5), "hello");
}

TEST_F(FastOpen, EmptyMessageConnects) {
    Descriptor client = open();
    EXPECT_EQ(send_fast(client, address_, ""), 0);
    EXPECT_EQ(send(client, "x", 1, 0), 1);
    EXPECT_EQ(receive(accept_one(), 1), "x");
}

TEST_F(FastOpen, LargeMessageGoesWhole) {
    Descriptor client = open();
    send_large_fast(client);
}

TEST_F(FastOpen, Refused) {
    Descriptor client = open();
    EXPECT_ERRNO(ECONNREFUSED, send_fast(client, nobody_, "hello"));
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    Descriptor nonblocking = open(SOCK_NONBLOCK);
    EXPECT_ERRNO(EINPROGRESS, send_fast(nonblocking, nobody_, "hello"));
    EXPECT_TRUE(events_of(nonblocking, POLLIN) & POLLERR);
    EXPECT_ERRNO(ECONNREFUSED, send_fast(nonblocking, nobody_, "hello"));
}

TEST_F(FastOpen, SocketsThatCannotConnect) {
    EXPECT_ERRNO(EISCONN, send_fast(listener_, address_, "hello"));
    Descriptor client = open();
    EXPECT_ERRNO(EINVAL, send(client, "hello", 5, MSG_FASTOPEN));
    sockaddr_in nowhere = {};
    EXPECT_EQ(nowhere.sin_family, AF_UNSPEC);
    EXPECT_ERRNO(EOPNOTSUPP, send_fast(client, nowhere, "hello"));
    ASSERT_TRUE(write_setting("0"));
    EXPECT_ERRNO(EOPNOTSUPP, send_fast(client, address_, "hello"));
    EXPECT_ERRNO(EOPNOTSUPP, set(client, TCP_FASTOPEN_CONNECT, 1));
}

TEST_F(FastOpen, OptionsShowWhatWasSet) {
    Descriptor fd = open();
    for (int option : {TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE}) {
        EXPECT_EQ(get(fd, option), 0);
        EXPECT_EQ(set(fd, option, 1), 0);
        EXPECT_EQ(get(fd, option), 1);
        EXPECT_ERRNO(EINVAL, set(fd, option, 2));
        EXPECT_ERRNO(EINVAL, set(fd, option, -1));
    }
    EXPECT_EQ(get(fd, TCP_FASTOPEN), 0);
    EXPECT_EQ(set(fd, TCP_FASTOPEN, 5), 0);
    EXPECT_EQ(get(fd, TCP_FASTOPEN), 5);
    EXPECT_ERRNO(EINVAL, set(fd, TCP_FASTOPEN, -1));
    EXPECT_EQ(set(fd, TCP_FASTOPEN, 1'000'000), 0);
    EXPECT_EQ(get(fd, TCP_FASTOPEN), 4096);  // net.core.somaxconn
}

TEST_F(FastOpen, OptionsOfSocketsInOtherStates) {
    Descriptor client = open();
    ASSERT_EQ(connect_to(client, address_), 0);
    for (int option : {TCP_FASTOPEN, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE}) {
        EXPECT_ERRNO(EINVAL, set(client, option, 1));
    }
    EXPECT_EQ(set(listener_, TCP_FASTOPEN, 1), 0);
    EXPECT_EQ(set(listener_, TCP_FASTOPEN_NO_COOKIE, 1), 0);
    EXPECT_ERRNO(EINVAL, set(listener_, TCP_FASTOPEN_CONNECT, 1));
    EXPECT_EQ(get(accept_one(), TCP_FASTOPEN), 0);
}

TEST_F(FastOpen, ConnectWithoutCookieConnectsAtOnce) {
    Descriptor client = open();
    ASSERT_EQ(set(client, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_EQ(connect_to(client, address_), 0);
    sockaddr_in peer = {};
    socklen_t length = sizeof(peer);
    EXPECT_EQ(getpeername(client, as_any(peer), &length), 0);
    Descriptor nonblocking = open(SOCK_NONBLOCK);
    ASSERT_EQ(set(nonblocking, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_ERRNO(EINPROGRESS, connect_to(nonblocking, address_));
}

// --- Connections whose SYN waits for data ---

class FastOpenConnect : public FastOpen {
  protected:
    // connect(2) has sent nothing.
    Descriptor begin(sockaddr_in& to, int flags = 0) {
        Descriptor client = open(flags);
        EXPECT_EQ(set(client, TCP_FASTOPEN_NO_COOKIE, 1), 0);
        EXPECT_EQ(set(client, TCP_FASTOPEN_CONNECT, 1), 0);
        EXPECT_EQ(connect_to(client, to), 0);
        return client;
    }
};

TEST_F(FastOpenConnect, FirstWriteConnects) {
    Descriptor client = begin(address_);
    sockaddr_in name = {};
    socklen_t length = sizeof(name);
    EXPECT_ERRNO(ENOTCONN, getpeername(client, as_any(name), &length));
    EXPECT_EQ(getsockname(client, as_any(name), &length), 0);
    EXPECT_NE(name.sin_port, 0);
    EXPECT_EQ(events_of(listener_, POLLIN, 0), 0);
    EXPECT_EQ(events_of(client, POLLIN | POLLOUT, 0), POLLOUT);
    EXPECT_EQ(write(client, "hello", 5), 5);
    EXPECT_EQ(receive(accept_one(), 5), "hello");
    EXPECT_EQ(getpeername(client, as_any(name), &length), 0);
    EXPECT_ERRNO(EISCONN, connect_to(client, address_));
}

// The SYN is no byte of the application's.
TEST_F(FastOpenConnect, NothingWaitsToBeSent) {
    Descriptor client = begin(address_);
    for (int request : {SIOCOUTQ, SIOCOUTQNSD}) {
        int size = -1;
        EXPECT_EQ(ioctl(client, static_cast<unsigned long>(request), &size), 0);
        EXPECT_EQ(size, 0);
    }
}

TEST_F(FastOpenConnect, NonBlockingWriteIsQueued) {
    Descriptor client = begin(address_, SOCK_NONBLOCK);
    EXPECT_ERRNO(EISCONN, connect_to(client, address_));
    char byte;
    EXPECT_ERRNO(EAGAIN, recv(client, &byte, 1, 0));
    EXPECT_EQ(write(client, "hello", 5), 5);
    EXPECT_EQ(receive(accept_one(), 5), "hello");
}

TEST_F(FastOpenConnect, RefusalIsToldToTheWriter) {
    Descriptor client = begin(nobody_);
    EXPECT_ERRNO(ECONNREFUSED, send(client, "hello", 5, MSG_NOSIGNAL));
    EXPECT_EQ(error_of(client), 0);
    Descriptor nonblocking = begin(nobody_, SOCK_NONBLOCK);
    EXPECT_EQ(write(nonblocking, "hello", 5), 5);
    EXPECT_TRUE(events_of(nonblocking, POLLIN) & POLLERR);
    EXPECT_EQ(error_of(nonblocking), ECONNREFUSED);
}

TEST_F(FastOpenConnect, BadPointerStillConnects) {
    Descriptor client = begin(address_);
    EXPECT_ERRNO(EFAULT, send(client, reinterpret_cast<void*>(8), 5, 0));
    EXPECT_EQ(write(client, "hello", 5), 5);
    EXPECT_EQ(receive(accept_one(), 5), "hello");
}

TEST_F(FastOpenConnect, ShutdownGivesUp) {
    Descriptor client = begin(address_);
    EXPECT_EQ(shutdown(client, SHUT_RDWR), 0);
    Descriptor other = begin(address_);
    other.reset();
    EXPECT_EQ(events_of(listener_, POLLIN, 0), 0);
}

// --- Servers ---

TEST_F(FastOpen, CookieThenDataInTheSyn) {
    be_server();
    const long asked = counter("TCPFastOpenCookieReqd"), active = counter("TCPFastOpenActive"),
               passive = counter("TCPFastOpenPassive");
    // A host that was asked before may have given its cookie already.
    learn_cookie();
    const long first = counter("TCPFastOpenCookieReqd") - asked;
    EXPECT_LE(first, 1);
    Descriptor client = open();
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    Descriptor server = accept_one();
    EXPECT_TRUE(had_syn_data(client));
    EXPECT_TRUE(had_syn_data(server));
    EXPECT_EQ(receive(server, 5), "hello");
    EXPECT_EQ(counter("TCPFastOpenActive") - active, 2 - first);
    EXPECT_EQ(counter("TCPFastOpenPassive") - passive, 2 - first);
    EXPECT_EQ(send(server, "answer", 6, 0), 6);
    EXPECT_EQ(receive(client, 6), "answer");
}

TEST_F(FastOpen, NonBlockingSendQueuesWhatTheSynTakes) {
    learn_cookie();
    Descriptor client = open(SOCK_NONBLOCK);
    const std::string text(1'000'000, 'x');
    const ssize_t sent = send_fast(client, address_, text);
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, 65536);
    Descriptor server = accept_one();
    EXPECT_EQ(receive(server, static_cast<size_t>(sent)),
              text.substr(0, static_cast<size_t>(sent)));
    // Without data there is nothing to tell, but that it is under way.
    Descriptor other = open(SOCK_NONBLOCK);
    EXPECT_ERRNO(EINPROGRESS, send_fast(other, address_, ""));
}

TEST_F(FastOpen, LargeMessageGoesWholeWithCookie) {
    learn_cookie();
    Descriptor client = open();
    send_large_fast(client);
    EXPECT_TRUE(had_syn_data(client));
}

TEST_F(FastOpen, ConnectWithCookieWaitsForTheWrite) {
    learn_cookie();
    Descriptor client = open();
    ASSERT_EQ(set(client, TCP_FASTOPEN_CONNECT, 1), 0);
    EXPECT_EQ(connect_to(client, address_), 0);
    EXPECT_EQ(events_of(listener_, POLLIN, 0), 0);
    EXPECT_EQ(write(client, "hello", 5), 5);
    EXPECT_TRUE(had_syn_data(client));
    EXPECT_EQ(receive(accept_one(), 5), "hello");
}

// The cookie is the host's; this listener takes no data in SYNs.
TEST_F(FastOpen, ListenerWithoutTheOptionFallsBack) {
    learn_cookie();
    sockaddr_in address;
    Descriptor listener = make_listener(address);
    const long failed = counter("TCPFastOpenActiveFail");
    Descriptor client = open();
    EXPECT_EQ(send_fast(client, address, "hello"), 5);
    Descriptor server(accept(listener, nullptr, nullptr));
    EXPECT_EQ(receive(server, 5), "hello");
    EXPECT_FALSE(had_syn_data(client));
    EXPECT_EQ(counter("TCPFastOpenActiveFail"), failed + 1);
}

TEST_F(FastOpen, ListenerMayTakeDataWithoutCookie) {
    be_server();
    ASSERT_EQ(set(listener_, TCP_FASTOPEN_NO_COOKIE, 1), 0);
    Descriptor client = open();
    ASSERT_EQ(set(client, TCP_FASTOPEN_NO_COOKIE, 1), 0);
    EXPECT_EQ(send_fast(client, address_, "hello"), 5);
    EXPECT_TRUE(had_syn_data(client));
    EXPECT_EQ(receive(accept_one(), 5), "hello");
}

TEST_F(FastOpen, SettingMayGiveItToEveryListener) {
    ASSERT_TRUE(write_setting(std::to_string(kClient | kServer | kEveryListener)));
    sockaddr_in address;
    Descriptor listener = make_listener(address, 7);
    EXPECT_EQ(get(listener, TCP_FASTOPEN), 7);
}

TEST_F(FastOpen, SettingTakesNumbers) {
    EXPECT_TRUE(write_setting("0x403\n"));
    EXPECT_EQ(read_setting(), "1027");
    EXPECT_TRUE(write_setting(" 3 \n"));
    EXPECT_EQ(read_setting(), "3");
    EXPECT_TRUE(write_setting("010"));
    EXPECT_EQ(read_setting(), "8");
    for (const char* bad : {"many", "@", "0x@", "1@", "09", "0x", "\n", "2147483648"}) {
        EXPECT_FALSE(write_setting(bad)) << bad;
    }
    EXPECT_EQ(read_setting(), "8");
}

}  // namespace
