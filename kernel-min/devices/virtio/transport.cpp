#include "kernel-min/devices/virtio/transport.h"

#include <algorithm>
#include <bit>

#include "kernel-min/lib/result.h"

namespace coracle::virtio {

bool Transport::negotiate(uint64_t wanted, uint64_t* accepted) {
    set_status(0);
    while (status() != 0) asm volatile("pause");
    set_status(kStatusAcknowledge);
    set_status(kStatusAcknowledge | kStatusDriver);
    uint64_t features = device_features() & (wanted | kFeatureEventIndex | kFeatureVersion1);
    set_driver_features(features);
    *accepted = features;
    // A legacy device knows no FEATURES_OK.
    if (!(features & kFeatureVersion1)) return true;
    set_status(status() | kStatusFeaturesOk);
    if (status() & kStatusFeaturesOk) return true;
    set_status(status() | kStatusFailed);
    return false;
}

Result<void> Transport::set_up_queue(uint16_t index, uint16_t wanted_size, bool event_index,
                                     Virtqueue& queue) {
    uint16_t size = std::min(std::bit_floor(max_queue_size(index)), wanted_size);
    if (size == 0) return Error(ENXIO);
    size_t pages = (Virtqueue::memory_size(size) + kPageSize - 1) / kPageSize;
    PhysAddr memory = TRY(allocate_frames(std::bit_width(pages - 1)));
    queue.initialize(phys_to_virt(memory), memory, size, event_index);
    set_queue(index, queue);
    return {};
}

}  // namespace coracle::virtio
