#include "kernel-min/devices/virtio/net_control.h"

#include <cstring>

#include "kernel-min/devices/clock_source.h"

namespace coracle::virtio {

namespace {

constexpr uint16_t kQueueSize = 4;
constexpr uint8_t kMacClass = 1, kTableSet = 0;
constexpr uint8_t kPairsClass = 4, kPairsSet = 0;
constexpr uint8_t kAccepted = 0, kUnanswered = 0xff;
constexpr size_t kCommandHeader = 2, kAnswerOffset = kPageSize - 1;
static_assert(kCommandHeader + NetControl::kMaxData <= kAnswerOffset);

// struct virtio_net_ctrl_mac: a count of 32 bits, and the addresses. What lies behind it.
uint8_t* put_table(uint8_t* at, std::span<const uint8_t> addresses) {
    auto count = static_cast<uint32_t>(addresses.size() / NetControl::kAddressSize);
    memcpy(at, &count, sizeof(count));
    if (!addresses.empty()) memcpy(at + sizeof(count), addresses.data(), addresses.size());
    return at + sizeof(count) + addresses.size();
}

}  // namespace

Result<void> NetControl::set_up(Transport& transport, uint16_t index, bool event_index) {
    page_ = TRY(allocate_frame());
    TRY(transport.set_up_queue(index, kQueueSize, event_index, queue_));
    queue_.disable_interrupts();
    index_ = index;
    transport_ = &transport;
    return {};
}

uint8_t* NetControl::data() {
    return phys_to_virt<uint8_t>(page_) + kCommandHeader;
}

Result<void> NetControl::send(uint8_t kind, uint8_t command, size_t data_size) {
    if (is_broken_) return Error(EIO);
    uint8_t* page = phys_to_virt<uint8_t>(page_);
    page[0] = kind;
    page[1] = command;
    page[kAnswerOffset] = kUnanswered;
    const Virtqueue::Buffer chain[] = {
        {page_, static_cast<uint32_t>(kCommandHeader + data_size), false},
        {page_ + kAnswerOffset, 1, true}};
    queue_.add(chain, 0);
    if (queue_.publish()) transport_->notify(index_);
    const uint64_t deadline_ns = monotonic_ns() + kTimeoutNs;
    while (!queue_.take_used()) {
        asm volatile("pause");
        if (monotonic_ns() <= deadline_ns) continue;
        is_broken_ = true;  // the page is the device's for good
        return Error(EIO);
    }
    if (page[kAnswerOffset] != kAccepted) return Error(EIO);
    return {};
}

Result<void> NetControl::set_queue_pairs(uint16_t count) {
    memcpy(data(), &count, sizeof(count));
    return send(kPairsClass, kPairsSet, sizeof(count));
}

Result<void> NetControl::set_mode(uint8_t command, bool on) {
    data()[0] = on;
    return send(kReceiveClass, command, 1);
}

Result<void> NetControl::set_address_tables(std::span<const uint8_t> stations,
                                            std::span<const uint8_t> groups) {
    const size_t size = 2 * sizeof(uint32_t) + stations.size() + groups.size();
    if (size > kMaxData) return Error(EINVAL);
    put_table(put_table(data(), stations), groups);
    return send(kMacClass, kTableSet, size);
}

}  // namespace coracle::virtio
