// Sockets: what all address families share, and what each fills in.
//
// A family is a class derived from Socket and one register_socket_family() when the kernel comes
// up. The system calls (socket_calls.cpp, message_calls.cpp, option_calls.cpp) have checked and
// copied the arguments when they call the functions below, SOL_SOCKET options are kept here
// (socket_options.h), and read(2), write(2), ioctl(2) and poll(2) come through File. A family:
//
// - overrides the operations that it has; the defaults answer as Linux's sock_no_*.
// - sleeps only with SocketWait, which knows O_NONBLOCK, SO_RCVTIMEO, SO_SNDTIMEO and signals:
//       SocketWait wait = wait_to_receive(message.flags);
//       TRY(wait.until(queue, [&] { return has_data(); }));
// - answers poll_events() and wait_queue(), and wakes that one queue at every change of them.
// - raises broken_pipe() where Linux sends SIGPIPE.
// - releases what it has in its destructor, which is the last close. State that outlives the
//   descriptor (TIME_WAIT, data in flight) lives in an object of its own that Socket points at.
//
// Locks: none (kernel code is not preempted). The system calls hold the file while it is used.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <cstdint>

#include "libposix/files/file.h"
#include "libposix/files/home.h"
#include "libposix/net/socket_address.h"
#include "libposix/net/socket_message.h"
#include "libposix/net/socket_options.h"
#include "libposix/process/credentials.h"

namespace coracle {

// How long one send or receive may sleep altogether.
class SocketWait {
  public:
    // `timeout_ns` from now; kNoTimeout, or 0: not at all.
    explicit SocketWait(uint64_t timeout_ns) : timeout_ns_(timeout_ns) {}

    bool may_sleep() const { return timeout_ns_ != 0; }
    // Precondition: the predicate does not hold. EAGAIN: it may not sleep, or the time is over.
    // kErestartsys or, under a timeout, EINTR.
    template <typename Predicate>
    Result<void> until(WaitQueue& queue, Predicate predicate) {
        if (!may_sleep()) return Error(EAGAIN);
        Result<void> waited = wait_until(queue, deadline(), predicate);
        if (waited.ok()) return waited;
        return Error(translate(waited.error_code()));
    }

  private:
    Deadline deadline();
    int translate(int error) const;

    uint64_t timeout_ns_;
    uint64_t deadline_ns_ = 0;  // set at the first sleep
};

class Socket : public File {
  public:
    struct Kind {
        int family, type, protocol;
    };
    // `flags`: O_NONBLOCK or 0. `path` and `inode`: make_socket_path().
    Socket(Path path, RefPtr<Inode> inode, uint32_t flags, Kind kind)
        : File(std::move(path), std::move(inode), flags | O_RDWR), kind_(kind) {}

    const Kind& kind() const { return kind_; }
    int family() const { return kind_.family; }
    int type() const { return kind_.type; }

    // Addresses are as long as the caller said (0 to 128 bytes) and otherwise unchecked.
    virtual Result<void> bind(const SocketAddress& address);                       // EOPNOTSUPP
    virtual Result<void> connect(const SocketAddress& address, bool nonblocking);  // EOPNOTSUPP
    // `backlog` is at most kMaxBacklog.
    virtual Result<void> listen(unsigned backlog);  // EOPNOTSUPP
    // The new socket has `flags` (O_NONBLOCK). EAGAIN, EINVAL...
    virtual Result<RefPtr<Socket>> accept(bool nonblocking, uint32_t flags);  // EOPNOTSUPP
    virtual Result<void> shutdown(int how);                 // EOPNOTSUPP; how is valid
    virtual Result<void> local_address(SocketAddress& to);  // EOPNOTSUPP
    virtual Result<void> peer_address(SocketAddress& to);   // EOPNOTSUPP; ENOTCONN

    // The count of bytes that were taken or given; with MSG_TRUNC in the flags a receive answers
    // the message's full length.
    virtual Result<size_t> send(SendMessage& message);        // EOPNOTSUPP
    virtual Result<size_t> receive(ReceiveMessage& message);  // EOPNOTSUPP

    // Levels other than SOL_SOCKET. The default: EOPNOTSUPP.
    virtual Result<void> set_option(int level, int option, UserIn<char> value, unsigned length);
    virtual Result<void> get_option(int level, int option, const OptionWriter& to);
    // `options` has a new value of this SO_* option, in force from now on.
    virtual void option_changed(int /*option*/) {}
    // SO_ERROR: takes the pending error (0: none).
    virtual int take_error() { return 0; }
    virtual bool is_listening() const { return false; }  // SO_ACCEPTCONN
    // Whether the family has these: SO_ATTACH_FILTER, SO_PEEK_OFF, SO_ZEROCOPY.
    virtual bool has_filter() const { return false; }
    virtual bool has_peek_offset() const { return false; }
    virtual bool has_zero_copy() const { return false; }
    // Which of the sockets that share its port (SO_REUSEPORT) gets what comes; null: as their hashes
    // say. EINVAL: it shares none; ENOENT: there was none to take away.
    virtual Result<void> set_reuseport_program(RefPtr<net::BpfProgram> /*program*/) {
        return Error(EINVAL);
    }
    // SO_PEERCRED and SO_PEERGROUPS; pid 0 and ids of -1 where nobody is known.
    virtual PeerCredentials peer_credentials() const { return {}; }
    virtual RefPtr<GroupList> peer_groups() const { return nullptr; }

    // FIONREAD and SIOCOUTQ. The default: ENOTTY.
    virtual Result<size_t> bytes_to_receive() { return Error(ENOTTY); }
    virtual Result<size_t> bytes_to_send() { return Error(ENOTTY); }

    Result<size_t> read(IoBuffer& to, uint64_t& position) final;
    Result<size_t> write(IoBuffer& from, uint64_t& position) final;
    // SIOCATMARK and the like: override, and end with this one.
    Result<long> ioctl(uint32_t command, uint64_t argument) override;
    bool can_signal() override { return true; }
    Socket* socket() final { return this; }

    SocketWait wait_to_send(uint32_t message_flags) const {
        return SocketWait(message_flags & MSG_DONTWAIT ? 0 : options.send_timeout_ns);
    }
    SocketWait wait_to_receive(uint32_t message_flags) const {
        return SocketWait(message_flags & MSG_DONTWAIT ? 0 : options.receive_timeout_ns);
    }

    SocketOptions options;

  protected:
    // What poll(2) says of a pending error, but of TCP.
    uint32_t error_events() const {
        return options.is_on(SO_SELECT_ERR_QUEUE) ? POLLERR | POLLPRI : POLLERR;
    }
    // For families whose sockets can have a home, at a use under the kernel lock held alone: whether
    // it is time to have it on this CPU. Who is watched by an epoll that has found its home is at home
    // there at once. `queue`: the socket's own, which then wakes nothing that belongs elsewhere, but
    // threads.
    bool should_settle(const WaitQueue& queue);
    // At the beginning of a call, with several CPUs: `is_plain` tells whether the kernel lock held
    // locally is enough for it, where the socket is at home. A sleep point.
    void use_lock(bool is_plain);

  private:
    virtual void settle() {}  // under the lock held alone

    Kind kind_;
    HomeSearch home_search_;
};

// Sends SIGPIPE unless MSG_NOSIGNAL is among the flags, and is EPIPE.
Error broken_pipe(uint32_t message_flags);

// What a new socket's File is made of: an inode, and the name "socket:[INODE]". ENOMEM.
struct SocketPlace {
    Path path;
    RefPtr<Inode> inode;
};
Result<SocketPlace> make_socket_place();

struct SocketPair {
    RefPtr<Socket> first, second;
};

struct SocketFamily {
    int family = AF_UNSPEC;
    // `type`: SOCK_* without flags; `flags`: O_NONBLOCK or 0. ESOCKTNOSUPPORT, EPROTONOSUPPORT,
    // EPERM, ENOMEM.
    Result<RefPtr<Socket>> (*create)(Socket::Kind kind, uint32_t flags) = nullptr;
    // socketpair(2); null: EOPNOTSUPP.
    Result<SocketPair> (*create_pair)(Socket::Kind kind, uint32_t flags) = nullptr;
};
// Once for each family, when the kernel comes up. Families that nobody registered are
// EAFNOSUPPORT.
void register_socket_family(const SocketFamily& family);
// Null if there is none.
const SocketFamily* find_socket_family(int family);

// ioctl(2)s on network interfaces (SIOCGIF*, man 7 netdevice) work on sockets of all families;
// this is what serves them. Without one they are ENOTTY.
using InterfaceIoctl = Result<long> (*)(uint32_t command, uint64_t argument);
void set_interface_ioctl(InterfaceIoctl handler);

void register_unix_sockets();

}  // namespace coracle
