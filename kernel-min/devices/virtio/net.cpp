#include "kernel-min/devices/virtio/net.h"

#include "kernel-min/lib/random.h"

namespace coracle::virtio {

namespace {

// Feature bits (5.1.3).
constexpr uint64_t bit(unsigned number) {
    return uint64_t{1} << number;
}
constexpr uint64_t kChecksum = bit(0), kGuestChecksum = bit(1), kMtu = bit(3), kMac = bit(5),
                   kGuestTso4 = bit(7), kGuestTso6 = bit(8), kHostTso4 = bit(11),
                   kHostTso6 = bit(12), kMergedBuffers = bit(15), kStatus = bit(16),
                   kAnyLayout = bit(27), kHostUso = bit(56);
constexpr uint64_t kWanted = kChecksum | kGuestChecksum | kMtu | kMac | kGuestTso4 | kGuestTso6 |
                             kHostTso4 | kHostTso6 | kMergedBuffers | kStatus | kAnyLayout |
                             kHostUso;

// The configuration (5.1.4).
constexpr uint32_t kConfigMac = 0, kConfigStatus = 6, kConfigMtu = 10;
constexpr uint16_t kStatusLinkUp = 1;

}  // namespace

uint16_t Net::config_word(uint32_t offset) {
    return static_cast<uint16_t>(transport_->config_byte(offset) |
                                 transport_->config_byte(offset + 1) << 8);
}

Result<void> Net::start(Transport& transport, uint16_t queue_size, InterruptHandler handler,
                        void* context) {
    transport_ = &transport;
    uint64_t wanted = kWanted;
    uint64_t offered = transport.device_features();
    // A large frame comes in many small buffers or not at all; and none needs what it depends on
    // (5.1.3.1).
    if (!(offered & kMergedBuffers)) wanted &= ~(kGuestTso4 | kGuestTso6);
    if (!(offered & kGuestChecksum)) wanted &= ~(kGuestTso4 | kGuestTso6);
    if (!(offered & kChecksum)) wanted &= ~(kHostTso4 | kHostTso6 | kHostUso);
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
    TRY(transport.set_up_queue(0, queue_size, event_index, receive));
    TRY(transport.set_up_queue(1, queue_size, event_index, transmit));
    receive.disable_interrupts();
    transmit.disable_interrupts();
    transport.connect_interrupt(handler, context);
    transport.start();
    return {};
}

bool Net::link_is_up() {
    return !has_status_ || (config_word(kConfigStatus) & kStatusLinkUp) != 0;
}

}  // namespace coracle::virtio
