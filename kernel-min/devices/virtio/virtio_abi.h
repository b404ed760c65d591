// Numbers and structures of virtio 1.2 that drivers and transports share.
#pragma once

#include <cstdint>

namespace coracle::virtio {

// Device status (2.1).
constexpr uint8_t kStatusAcknowledge = 1, kStatusDriver = 2, kStatusDriverOk = 4,
                  kStatusFeaturesOk = 8, kStatusNeedsReset = 64, kStatusFailed = 128;

// Device types (5).
constexpr uint32_t kDeviceNetwork = 1, kDeviceBlock = 2, kDeviceConsole = 3, kDeviceEntropy = 4;

// Features that every device may have (6).
constexpr uint64_t kFeatureEventIndex = uint64_t{1} << 29;  // VIRTIO_F_EVENT_IDX
constexpr uint64_t kFeatureVersion1 = uint64_t{1} << 32;    // VIRTIO_F_VERSION_1

// The split virtqueue (2.7).
struct Descriptor {
    uint64_t address;  // guest-physical
    uint32_t length;
    uint16_t flags;
    uint16_t next;
};
static_assert(sizeof(Descriptor) == 16);
constexpr uint16_t kDescriptorNext = 1, kDescriptorWrite = 2;

struct AvailableRing {
    uint16_t flags;
    uint16_t index;
    uint16_t ring[];  // then uint16_t used_event
};
constexpr uint16_t kAvailableNoInterrupt = 1;

struct UsedElement {
    uint32_t id;
    uint32_t length;
};
struct UsedRing {
    uint16_t flags;
    uint16_t index;
    UsedElement ring[];  // then uint16_t available_event
};
constexpr uint16_t kUsedNoNotify = 1;

}  // namespace coracle::virtio
