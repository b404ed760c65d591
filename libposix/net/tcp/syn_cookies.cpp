#include "libposix/net/tcp/syn_cookies.h"

#include "libposix/net/tcp/settings.h"

namespace coracle::net::tcp {

namespace {
constexpr uint16_t kSegments[] = {536, 1220, 1300, 1440, 1460, 4312, 8960, 65483};
constexpr uint32_t kMaxAge = 2;  // of periods
constexpr uint32_t kLowBits = 24;
constexpr uint32_t kLowMask = (1u << kLowBits) - 1;
constexpr uint32_t kOptionMask = 63;  // of a timestamp: scale 4 bits, SACK, ECN
constexpr uint32_t kNoScale = 15;

uint32_t period(uint64_t now_ns) {
    return static_cast<uint32_t>(now_ns / (64 * kSecond));
}
uint32_t hash_of(const HashSecret& secret, const FlowKey& flow, uint64_t more) {
    return static_cast<uint32_t>(secret_hash_of_flow(secret, flow, more));
}
}  // namespace

Sequence make_cookie(const HashSecret& secret, const FlowKey& flow, Sequence peer_sequence,
                     uint16_t peer_segment, uint64_t now_ns) {
    uint32_t index = std::size(kSegments) - 1;
    while (index && kSegments[index] > peer_segment) index--;
    uint32_t count = period(now_ns);
    uint32_t base = hash_of(secret, flow, 0) + peer_sequence.value() + (count << kLowBits);
    return Sequence(base + ((hash_of(secret, flow, uint64_t{count} << 1 | 1) + index) & kLowMask));
}

uint16_t check_cookie(const HashSecret& secret, const FlowKey& flow, Sequence peer_sequence,
                      Sequence cookie, uint64_t now_ns) {
    uint32_t rest = cookie.value() - hash_of(secret, flow, 0) - peer_sequence.value();
    uint32_t count = period(now_ns);
    uint32_t age = (count - (rest >> kLowBits)) & (0xffffffffu >> kLowBits);
    if (age >= kMaxAge) return 0;
    count -= age;
    uint32_t index = (rest - hash_of(secret, flow, uint64_t{count} << 1 | 1)) & kLowMask;
    return index < std::size(kSegments) ? kSegments[index] : 0;
}

uint32_t cookie_timestamp(const Options& syn, bool ecn, uint32_t clock_ms) {
    uint32_t bits = syn.has_window_scale ? syn.window_scale : kNoScale;
    bits |= uint32_t{syn.sack_permitted} << 4 | uint32_t{ecn} << 5;
    uint32_t timestamp = (clock_ms & ~kOptionMask) | bits;
    return timestamp > clock_ms ? timestamp - (kOptionMask + 1) : timestamp;
}

void read_cookie_timestamp(uint32_t timestamp, CookieOptions& to) {
    uint8_t scale = timestamp & 15;
    to.has_window_scale = scale != kNoScale;
    to.window_scale = to.has_window_scale ? scale : 0;
    to.sack_permitted = (timestamp & 16) != 0;
    to.ecn = (timestamp & 32) != 0;
}

}  // namespace coracle::net::tcp
