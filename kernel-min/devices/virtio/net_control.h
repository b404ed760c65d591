// The control queue of a network device (virtio 1.2, section 5.1.6.5): commands that the device
// answers at once, one at a time.
//
// Locks: none; one owner.
#pragma once

#include "kernel-min/devices/virtio/transport.h"

namespace coracle::virtio {

class NetControl {
  public:
    static constexpr size_t kMaxData = 2048;  // bytes that a command carries
    static constexpr size_t kAddressSize = 6;

    // Sets the queue up, before the device is started. ENXIO: it has none; ENOMEM.
    Result<void> set_up(Transport& transport, uint16_t index, bool event_index);
    bool is_set_up() const { return transport_ != nullptr; }

    // How many queue pairs are in use from now on (VQ_PAIRS_SET). These, like all commands: EIO if
    // the device refuses, or does not answer, and then nothing more is asked of it.
    Result<void> set_queue_pairs(uint16_t count);
    // Frames for anybody, and for any group (CTRL_RX).
    Result<void> set_promiscuous(bool on) { return set_mode(kPromiscuous, on); }
    Result<void> set_all_multicast(bool on) { return set_mode(kAllMulticast, on); }
    // The stations and groups besides the device's own address and broadcast whose frames are
    // received (CTRL_MAC, TABLE_SET): addresses of kAddressSize bytes, one behind the other.
    // EINVAL: too many.
    Result<void> set_address_tables(std::span<const uint8_t> stations,
                                    std::span<const uint8_t> groups);

  private:
    static constexpr uint8_t kReceiveClass = 0, kPromiscuous = 0, kAllMulticast = 1;
    static constexpr uint64_t kTimeoutNs = 10'000'000'000;

    Result<void> set_mode(uint8_t command, bool on);
    uint8_t* data();
    // Carries out a command on what lies at data().
    Result<void> send(uint8_t kind, uint8_t command, size_t data_size);

    Transport* transport_ = nullptr;
    uint16_t index_ = 0;
    bool is_broken_ = false;
    PhysAddr page_ = 0;  // class, command and data; the answer at its end
    Virtqueue queue_;
};

}  // namespace coracle::virtio
