// Frames from a hostile network, against the stack below the transports: libFuzzer's entry.
// The input is a sequence of frames, each with a length of two bytes before it.
#include <memory>

#include "libposix/net/gro.h"
#include "libposix/net/tests/stack_test.h"

namespace coracle::net {
namespace {

class QuietEthernet final : public EthernetInterface {
  public:
    QuietEthernet() : EthernetInterface("eth0", 1500) {
        flags |= IFF_UP | IFF_RUNNING;
        mac = kOurMac;
    }
    void transmit(BufferPtr) override {}
};

QuietEthernet& start_stack() {
    static auto& lo = *new LoopbackInterface;
    static auto& eth = *new QuietEthernet;
    start_icmp();
    NetworkScope scope;
    (void)lo.add_address({.address = IpAddress::loopback_v4(), .prefix_length = 8}).ok();
    (void)eth.add_address({.address = IpAddress::v4(10, 0, 2, 15), .prefix_length = 24}).ok();
    start_ipv6(eth);
    return eth;
}

// Chance does not find link addresses and checksums, so that nothing would get past them.
void make_acceptable(Buffer& frame) {
    frame.info.checksum = ChecksumState::kVerified;
    if (frame.length() < kEthernetHeaderSize) return;
    uint8_t* bytes = frame.data();
    if (!(bytes[0] & 1)) memcpy(bytes, kOurMac.bytes, sizeof(kOurMac.bytes));
    uint8_t* header = bytes + kEthernetHeaderSize;
    size_t left = frame.length() - kEthernetHeaderSize;
    if (left < ipv4::kHeaderSize || read_be16(bytes + 12) != 0x0800) return;
    size_t size = header[0] % 16 * size_t{4};
    if (size < ipv4::kHeaderSize || size > left) return;
    memset(header + ipv4::kChecksum, 0, 2);
    uint16_t sum = checksum_of(header, size);
    memcpy(header + ipv4::kChecksum, &sum, 2);
}

}  // namespace
}  // namespace coracle::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace coracle::net;
    static QuietEthernet& eth = start_stack();
    static auto& offload = *new ReceiveOffload(eth, ethernet_input);
    while (size >= 2) {
        size_t length = std::min<size_t>(read_be16(data), size - 2);
        data += 2;
        size -= 2;
        {
            NetworkScope scope;
            BufferPtr frame = Buffer::allocate(kFrameBufferCapacity);
            length = std::min(length, kFrameBufferCapacity);
            if (length) memcpy(frame->append(length), data, length);
            make_acceptable(*frame);
            offload.receive(std::move(frame));
            offload.flush();
        }
        data += length;
        size -= length;
        advance_clock(10'000'000);
    }
    return 0;
}
