// Classic BPF (Documentation/networking/filter.rst): a program that looks at a packet and says how
// many of its bytes to keep. Pure logic.
//
//   auto program = TRY(BpfProgram::create(instructions));    // checked
//   uint32_t kept = program->run(packet);                    // 0: drop it
#pragma once

#include <linux/filter.h>

#include <memory>
#include <span>

#include "kernel-min/lib/ref_ptr.h"
#include "kernel-min/lib/result.h"
#include "libposix/net/buffer.h"

namespace coracle::net {

// What a program can ask of a packet. Offsets count from data() of the chain's first buffer.
struct BpfPacket {
    const Buffer& chain;
    int32_t start = 0;  // where the program's byte 0 lies: may be headroom, as of pulled headers
    int32_t network = 0, link = 0;  // of these headers (SKF_NET_OFF, SKF_LL_OFF)
    bool has_network = false, has_link = false;
    uint16_t protocol = 0;       // ETH_P_*
    uint16_t hardware_type = 0;  // ARPHRD_*
    uint8_t packet_type = 0;     // PACKET_*
    uint32_t interface_index = 0;
    uint32_t mark = 0;

    // As the program sees it.
    uint32_t length() const {
        return static_cast<uint32_t>(static_cast<int64_t>(chain.chain_length()) - start);
    }
    // `size` bytes at an offset from the program's byte 0, which may be one of SKF_NET_OFF's or
    // SKF_LL_OFF's. False: it has not so many.
    bool load(int32_t offset, void* to, uint32_t size) const;
};

class BpfProgram : public RefCounted<BpfProgram> {
  public:
    static constexpr size_t kMaxInstructions = 4096;  // BPF_MAXINSNS
    static constexpr size_t kMaxMemory = 20480;       // net.core.optmem_max

    // EINVAL: empty, too long, or one that Linux would not take either; ENOMEM.
    static Result<RefPtr<BpfProgram>> create(std::span<const sock_filter> instructions);

    std::span<const sock_filter> instructions() const { return {code_.get(), count_}; }
    // How many bytes to keep: 0 is none.
    uint32_t run(const BpfPacket& packet) const;

    BpfProgram(std::unique_ptr<sock_filter[]> code, size_t count)
        : code_(std::move(code)), count_(count) {}

  private:
    std::unique_ptr<sock_filter[]> code_;
    size_t count_;
};

}  // namespace coracle::net
