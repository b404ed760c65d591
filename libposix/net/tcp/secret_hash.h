// A keyed hash for what an attacker must not guess: initial sequence numbers (RFC 6528), timestamp
// offsets, SYN cookies. SipHash-1-3 on 64-bit words.
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>

#include "libposix/net/address.h"

namespace coracle::net::tcp {

struct HashSecret {
    uint64_t words[2];
};

inline uint64_t secret_hash(const HashSecret& secret, std::initializer_list<uint64_t> message) {
    uint64_t v0 = secret.words[0] ^ 0x736f6d6570736575, v1 = secret.words[1] ^ 0x646f72616e646f6d,
             v2 = secret.words[0] ^ 0x6c7967656e657261, v3 = secret.words[1] ^ 0x7465646279746573;
    auto round = [&] {
        v0 += v1, v1 = std::rotl(v1, 13) ^ v0, v0 = std::rotl(v0, 32);
        v2 += v3, v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3, v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1, v1 = std::rotl(v1, 17) ^ v2, v2 = std::rotl(v2, 32);
    };
    auto absorb = [&](uint64_t word) {
        v3 ^= word;
        round();
        v0 ^= word;
    };
    for (uint64_t word : message) absorb(word);
    absorb(uint64_t{message.size()} << 59);
    v2 ^= 0xff;
    for (int i = 0; i < 3; i++) round();
    return v0 ^ v1 ^ v2 ^ v3;
}

inline uint64_t secret_hash_of_flow(const HashSecret& secret, const FlowKey& flow, uint64_t more) {
    return secret_hash(secret, {flow.local.address.high(), flow.local.address.low(),
                                flow.remote.address.high(), flow.remote.address.low(),
                                uint64_t{flow.local.port} << 16 | flow.remote.port, more});
}

}  // namespace coracle::net::tcp
