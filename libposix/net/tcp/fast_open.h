// Fast Open (RFC 7413): data in the SYN of a client that has shown before, by a cookie, that it
// gets what is sent to its address.
#pragma once

#include "kernel-min/lib/ref_ptr.h"
#include "libposix/net/tcp/header.h"
#include "libposix/net/tcp/secret_hash.h"

namespace coracle::net::tcp {

// Of Settings::fast_open (tcp_fastopen).
constexpr uint32_t kFastOpenClient = 1, kFastOpenServer = 2, kFastOpenSendWithoutCookie = 4,
                   kFastOpenAcceptWithoutCookie = 0x200, kFastOpenEveryListener = 0x400;

// What an active open does.
enum class FastOpen : uint8_t {
    kNo,
    kWithCookie,  // if there is one; else the SYN asks for it
    kWithoutCookie,
};

struct FastOpenCookie {
    uint8_t size = 0;  // 0: none
    uint8_t bytes[kMaxCookieSize] = {};

    // As the option of a SYN; without a cookie one that asks for it.
    void write(Options& to) const;
    static FastOpenCookie read(const Options& from);
    // The one that a server gives to a client (RFC 7413, 4.1.2): by both addresses.
    static FastOpenCookie make(const HashSecret& secret, const FlowKey& flow);
    bool operator==(const FastOpenCookie& other) const = default;
};

// A client's memory of servers (RFC 7413, 4.1.3): the latest that its places have room for.
class CookieCache {
  public:
    struct Entry {
        IpAddress local, remote;
        FastOpenCookie cookie;
        uint16_t peer_segment = 0;  // the server's MSS option; 0: unknown
    };
    // By both addresses. Null: not known.
    const Entry* find(const FlowKey& flow) const;
    void store(const FlowKey& flow, const FastOpenCookie& cookie, uint16_t peer_segment);

  private:
    static constexpr size_t kPlaces = 64;
    static size_t place_of(const FlowKey& flow);
    Entry places_[kPlaces];
};

// A listener's connections whose SYN+ACK is not acknowledged, although they can be accepted
// (RFC 7413, 5.1). Those that were reset count for a while: data in SYNs from forged addresses
// would be free otherwise.
struct FastOpenQueue : RefCounted<FastOpenQueue> {
    uint32_t limit = 0;
    uint32_t length = 0;
    uint32_t resets = 0;
    uint64_t resets_until_ns = 0;

    bool is_full(uint64_t now_ns) const {
        return length + (now_ns < resets_until_ns ? resets : 0) >= limit;
    }
    void leave(bool was_reset, uint64_t now_ns);
};

// TCP_INFO's tcpi_fastopen_client_fail.
enum class FastOpenFailure : uint8_t { kNone, kNoCookie, kDataNotAcknowledged, kSynWasLost };

// A connection's part. After the handshake it only tells what happened.
struct FastOpenState {
    RefPtr<FastOpenQueue> queue;  // of a server: in which it is counted
    uint16_t syn_data = 0;        // of a client: bytes of the send queue that its first SYN carried
    FastOpen mode = FastOpen::kNo;
    bool waits_for_data = false;  // SYN-SENT, but the SYN is to be sent with the first data
    bool data_acknowledged = false;
    FastOpenFailure failure = FastOpenFailure::kNone;
};

}  // namespace coracle::net::tcp
