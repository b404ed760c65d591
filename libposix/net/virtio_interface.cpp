#include "libposix/net/virtio_interface.h"

#include <algorithm>

#include "kernel-min/memory/heap.h"
#include "kernel-min/sched/kernel_lock.h"
#include "libposix/net/network.h"

namespace coracle::net {

namespace {

constexpr uint32_t kDefaultMtu = 1500;
constexpr std::string_view kNames[] = {"eth0", "eth1", "eth2", "eth3"};

// Link addresses in a row, each once.
struct AddressTable {
    MacAddress addresses[Interface::kMaxGroups + ReceiveFilter::kMaxAddresses];
    size_t count = 0;

    void add(const MacAddress& mac) {
        if (std::find(addresses, addresses + count, mac) == addresses + count) {
            addresses[count++] = mac;
        }
    }
    std::span<const uint8_t> bytes() const {
        static_assert(sizeof(MacAddress) == virtio::NetControl::kAddressSize);
        return {addresses[0].bytes, count * sizeof(MacAddress)};
    }
};

}  // namespace

VirtioInterface::VirtioInterface(size_t number) : EthernetInterface(kNames[number], kDefaultMtu) {}

Result<void> VirtioInterface::start(virtio::Transport& transport) {
    TRY(device_.start(transport, VirtioQueuePair::kQueueSize, cpu_count, on_interrupt, this,
                      LockNeeded::kLocally));
    memcpy(mac.bytes, device_.mac(), sizeof(mac.bytes));
    if (device_.mtu() >= 68) mtu = mtu_v6 = device_.mtu();
    offloads = {.checksum = device_.features().checksum,
                .tso_v4 = device_.features().host_tso_v4,
                .tso_v6 = device_.features().host_tso_v6,
                .uso = device_.features().host_uso};
    if (auto made = make_pairs(); !made.ok()) {
        device_.stop();
        return made;
    }
    flags |= IFF_UP;
    update_link();
    for (auto& pair : pairs()) pair->start();
    receive_filter_changed();
    return {};
}

Result<void> VirtioInterface::make_pairs() {
    for (unsigned i = 0; i < device_.pair_count(); i++) {
        pairs_[i].reset(new (std::nothrow) VirtioQueuePair(*this, device_, i));
        if (!pairs_[i]) return Error(ENOMEM);
    }
    if (device_.pair_count() > 1) {
        steering_.reset(new (std::nothrow) TransmitSteering);
        if (!steering_ || !steering_->allocate(device_.pair_count())) return Error(ENOMEM);
    }
    pair_count_ = device_.pair_count();
    return {};
}

// A frame that is longer than a buffer has to come in several.
uint32_t VirtioInterface::largest_mtu() const {
    constexpr uint32_t kLargest = 65535;
    if (!device_.features().merged_buffers) return kDefaultMtu;
    return device_.mtu() >= 68 ? device_.mtu() : kLargest;
}

void VirtioInterface::update_link() {
    constexpr uint32_t kRunning = IFF_RUNNING | IFF_LOWER_UP;
    flags = device_.link_is_up() ? flags | kRunning : flags & ~kRunning;
}

void VirtioInterface::receive_filter_changed() {
    if (!device_.receive_filter()) return;
    filter_is_stale_ = true;
    network_has_work();
}

// A device that refuses a table gets to hand over everything.
void VirtioInterface::set_receive_filter() {
    filter_is_stale_ = false;
    AddressTable stations, multicast;
    for (const Group& group : groups()) multicast.add(ethernet_group(group.address));
    for (const ReceiveFilter::Address& address : receive_filter.addresses()) {
        (address.mac.is_group() ? multicast : stations).add(address.mac);
    }
    virtio::NetControl& filter = *device_.receive_filter();
    const bool has_table = filter.set_address_tables(stations.bytes(), multicast.bytes()).ok();
    (void)filter.set_all_multicast(receive_filter.all_multicast_users > 0).ok();
    (void)filter.set_promiscuous(receive_filter.promiscuous_users > 0 || !has_table).ok();
}

void VirtioInterface::poll() {
    NetworkScope scope;
    for (auto& pair : pairs()) pair->poll();
}

void VirtioInterface::on_interrupt(void* context) {
    auto& self = *static_cast<VirtioInterface*>(context);
    NetworkScope scope;
    self.device_.acknowledge_interrupt();
    self.statistics().rx_interrupts++;
    const unsigned cpu = current_cpu()->id;
    bool any_used = false;
    for (unsigned i = 0; i < self.pair_count_; i++) {
        VirtioQueuePair& pair = *self.pairs_[i];
        if (pair.cpu() == cpu) any_used = pair.on_interrupt() || any_used;
    }
    if (any_used) return;
    hold_alone();
    self.update_link();
}

QueueStatistics VirtioInterface::queue_statistics(size_t queue) const {
    const VirtioQueuePair& pair = *pairs_[queue];
    return {pair.received(), pair.accepted(), pair.interrupts()};
}

bool VirtioInterface::has_unsent_frames() {
    bool any = false;
    for (auto& pair : pairs()) any = pair->has_unsent_frames() || any;
    return any;
}

void VirtioInterface::transmit(BufferPtr frame) {
    if (steering_) return steer(frame);
    pairs_[0]->transmit(frame);
}

void VirtioInterface::steer(BufferPtr& frame) {
    const uint32_t hash = flow_hash(*frame);
    const unsigned own = current_cpu()->id % pair_count_;
    const unsigned chosen =
        steering_->choose(hash, own, [&](unsigned queue) { return pairs_[queue]->completed(); });
    VirtioQueuePair& pair = *pairs_[chosen];
    pair.transmit(frame);
    steering_->sent(hash, chosen, pair.accepted());
}

}  // namespace coracle::net
