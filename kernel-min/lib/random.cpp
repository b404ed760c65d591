#include "kernel-min/lib/random.h"

#include <cpuid.h>

#include <bit>
#include <cstring>

#include "kernel-min/sched/kernel_lock.h"

namespace coracle {

namespace {

uint32_t key[8];
bool seeded;
// What the last block left over: bytes are erased as they are handed out.
uint8_t pool[64];
size_t pool_left;
LocalLock lock;

void quarter_round(uint32_t& a, uint32_t& b, uint32_t& c, uint32_t& d) {
    a += b, d = std::rotl(d ^ a, 16);
    c += d, b = std::rotl(b ^ c, 12);
    a += b, d = std::rotl(d ^ a, 8);
    c += d, b = std::rotl(b ^ c, 7);
}

// RFC 8439, 2.3.
void chacha20_block(const uint32_t (&block_key)[8], uint32_t counter, uint32_t (&output)[16]) {
    uint32_t input[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(input + 4, block_key, 32);
    input[12] = counter;
    memcpy(output, input, sizeof(input));
    for (int i = 0; i < 10; i++) {
        quarter_round(output[0], output[4], output[8], output[12]);
        quarter_round(output[1], output[5], output[9], output[13]);
        quarter_round(output[2], output[6], output[10], output[14]);
        quarter_round(output[3], output[7], output[11], output[15]);
        quarter_round(output[0], output[5], output[10], output[15]);
        quarter_round(output[1], output[6], output[11], output[12]);
        quarter_round(output[2], output[7], output[8], output[13]);
        quarter_round(output[3], output[4], output[9], output[14]);
    }
    for (int i = 0; i < 16; i++) output[i] += input[i];
}

// Half of a block becomes the next key, so what was handed out cannot be computed again.
void refill_pool() {
    uint32_t block[16];
    chacha20_block(key, 0, block);
    memcpy(key, block, sizeof(key));
    chacha20_block(key, 1, block);
    memcpy(pool, block, sizeof(pool));
    pool_left = sizeof(pool);
}

uint64_t read_tsc() {
    uint32_t low, high;
    asm volatile("rdtsc" : "=a"(low), "=d"(high));
    return uint64_t{high} << 32 | low;
}

bool read_hardware(uint64_t& value) {
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    if (!(c >> 30 & 1)) return false;
    for (int tries = 0; tries < 10; tries++) {
        bool ok;
        asm volatile("rdrand %0" : "=r"(value), "=@ccc"(ok));
        if (ok) return true;
    }
    return false;
}

void seed() {
    seeded = true;
    for (int i = 0; i < 4; i++) {
        uint64_t sample[2] = {read_tsc(), 0};
        read_hardware(sample[1]);
        add_entropy(sample, sizeof(sample));
    }
}

}  // namespace

void add_entropy(const void* data, size_t size) {
    auto* bytes = static_cast<const uint8_t*>(data);
    while (size > 0) {
        size_t count = size < sizeof(key) ? size : sizeof(key);
        uint32_t piece[8] = {};
        memcpy(piece, bytes, count);
        for (int i = 0; i < 8; i++) key[i] ^= piece[i];
        uint32_t block[16];
        chacha20_block(key, 2, block);
        memcpy(key, block, sizeof(key));
        bytes += count;
        size -= count;
    }
    pool_left = 0;
}

void fill_random(void* to, size_t size) {
    LocalLockGuard guard(lock);
    if (!seeded) seed();
    auto* bytes = static_cast<uint8_t*>(to);
    while (size > 0) {
        if (pool_left == 0) refill_pool();
        size_t count = size < pool_left ? size : pool_left;
        uint8_t* from = pool + sizeof(pool) - pool_left;
        memcpy(bytes, from, count);
        memset(from, 0, count);
        pool_left -= count;
        bytes += count;
        size -= count;
    }
}

uint64_t random_u64() {
    uint64_t value;
    fill_random(&value, sizeof(value));
    return value;
}

}  // namespace coracle
