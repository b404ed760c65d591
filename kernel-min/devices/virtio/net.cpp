#include "kernel-min/devices/virtio/net.h"

#include <algorithm>
#include <new>

#include "kernel-min/lib/random.h"
#include "kernel-min/memory/heap.h"

namespace coracle::virtio {

namespace {

// Feature bits (5.1.3).
constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}
constexpr uint64_t kChecksum = bit(0), kGuestChecksum = bit(1), kMtu = bit(3), kMac = bit(5),
                   kGuestTso4 = bit(7), kGuestTso6 = bit(8), kHostTso4 = bit(11),
                   kHostTso6 = bit(12), kMergedBuffers = bit(15), kStatus = bit(16),
                   kControlQueue = bit(17), kControlReceive = bit(18), kMultiQueue = bit(22),
                   kAnyLayout = bit(27), kHostUso = bit(56);
constexpr uint64_t kWanted = kChecksum | kGuestChecksum | kMtu | kMac | kGuestTso4 | kGuestTso6 |
                             kHostTso4 | kHostTso6 | kMergedBuffers | kStatus | kControlQueue |
                             kControlReceive | kMultiQueue | kAnyLayout | kHostUso;

// The configuration (5.1.4).
constexpr uint32_t kConfigMac = 0, kConfigStatus = 6, kConfigMaxPairs = 8, kConfigMtu = 10;
constexpr uint16_t kStatusLinkUp = 1;

}  // namespace

uint16_t Net::config_word(uint32_t offset) {
    return static_cast<uint16_t>(transport_->config_byte(offset) |
                                 transport_->config_byte(offset + 1) << 8);
}

Result<void> Net::set_up_pair(unsigned index, uint16_t queue_size, bool event_index) {
    QueuePair& pair = pairs_[index];
    auto first = static_cast<uint16_t>(2 * index);
    TRY(transport_->set_up_queue(first, queue_size, event_index, pair.receive));
    TRY(transport_->set_up_queue(first + 1, queue_size, event_index, pair.transmit));
    pair.receive.disable_interrupts();
    pair.transmit.disable_interrupts();
    return {};
}

Result<void> Net::start(Transport& transport, uint16_t queue_size, unsigned max_pairs,
                        InterruptHandler handler, void* context, LockNeeded needs) {
    transport_ = &transport;
    uint64_t wanted = kWanted;
    uint64_t offered = transport.device_features();
    // A large frame comes in many small buffers or not at all; and none needs what it depends on
    // (5.1.3.1).
    if (!(offered & kMergedBuffers)) wanted &= ~(kGuestTso4 | kGuestTso6);
    if (!(offered & kGuestChecksum)) wanted &= ~(kGuestTso4 | kGuestTso6);
    if (!(offered & kChecksum)) wanted &= ~(kHostTso4 | kHostTso6 | kHostUso);
    if (!(offered & kControlQueue)) wanted &= ~(kControlReceive | kMultiQueue);
    if (max_pairs == 1) wanted &= ~kMultiQueue;
    uint64_t accepted;
    if (!transport.negotiate(wanted, &accepted)) return Error(ENXIO);
    bool is_modern = accepted & kFeatureVersion1;
    // Header and frame lie in one buffer.
    if (!is_modern && !(accepted & kAnyLayout)) return Error(ENXIO);
    features_ = {.checksum = (accepted & kChecksum) != 0,
                 .guest_checksum = (accepted & kGuestChecksum) != 0,
                 .guest_tso = (accepted & (kGuestTso4 | kGuestTso6)) != 0,
                 .host_tso_v4 = (accepted & kHostTso4) != 0,
                 .host_tso_v6 = (accepted & kHostTso6) != 0,
                 .host_uso = (accepted & kHostUso) != 0,
                 .merged_buffers = (accepted & kMergedBuffers) != 0};
    header_size_ = is_modern || features_.merged_buffers ? sizeof(NetHeader)
                                                         : offsetof(NetHeader, buffer_count);
    has_status_ = accepted & kStatus;
    if (accepted & kMtu) mtu_ = config_word(kConfigMtu);
    if (accepted & kMac) {
        for (uint32_t i = 0; i < 6; i++) mac_[i] = transport.config_byte(kConfigMac + i);
    } else {
        fill_random(mac_, sizeof(mac_));
        mac_[0] = static_cast<uint8_t>((mac_[0] | 2) & ~1);  // locally administered, one station
    }
    bool event_index = accepted & kFeatureEventIndex;
    const unsigned device_pairs = accepted & kMultiQueue ? config_word(kConfigMaxPairs) : 1;
    const unsigned wanted_pairs = std::max(std::min(device_pairs, max_pairs), 1u);
    pairs_.reset(new (std::nothrow) QueuePair[wanted_pairs]);
    if (!pairs_) return Error(ENOMEM);
    TRY(set_up_pair(0, queue_size, event_index));
    pair_count_ = 1;
    // The control queue lies behind all pairs that the device has (5.1.2).
    const auto control = static_cast<uint16_t>(2 * device_pairs);
    const bool has_control =
        accepted & kControlQueue && control_.set_up(transport, control, event_index).ok();
    while (has_control && pair_count_ < wanted_pairs &&
           set_up_pair(pair_count_, queue_size, event_index).ok()) {
        pair_count_++;
    }
    filters_ = has_control && accepted & kControlReceive;
    transport.connect_interrupt(handler, context, needs);
    for (unsigned i = 0; pair_count_ > 1 && i < pair_count_; i++) {
        auto first = static_cast<uint16_t>(2 * i);
        pairs_[i].is_aimed = transport.aim_interrupt(first, *cpus[i]) &&
                             transport.aim_interrupt(first + 1, *cpus[i]);
    }
    transport.start();
    if (pair_count_ > 1 && !control_.set_queue_pairs(static_cast<uint16_t>(pair_count_)).ok()) {
        pair_count_ = 1;
    }
    return {};
}

bool Net::link_is_up() {
    return !has_status_ || (config_word(kConfigStatus) & kStatusLinkUp) != 0;
}

}  // namespace coracle::virtio
