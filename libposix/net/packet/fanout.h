// PACKET_FANOUT (man 7 packet): packet sockets that share what comes, each frame to one of them.
//
// Locks: none; kernel code runs under the one kernel lock. Nothing here sleeps.
#pragma once

#include <linux/if_packet.h>

#include <boost/intrusive/list.hpp>
#include <memory>

#include "kernel-min/lib/ref_ptr.h"
#include "libposix/net/filter/bpf_program.h"
#include "libposix/net/interface.h"

namespace coracle::net {

class PacketSocket;

// What a packet socket receives: this protocol (ETH_P_*; ETH_P_ALL) of this interface (0: all).
struct PacketHook {
    uint16_t protocol = 0;  // 0: nothing
    uint32_t interface_index = 0;

    bool operator==(const PacketHook&) const = default;
    bool takes(const Buffer& frame, const Interface& interface) const;
};

// How much room a receiver has: less than a quarter of it is little.
enum class Room { kNone, kLittle, kEnough };

// What a member keeps for rolling over to others (struct tpacket_rollover_stats).
struct Rollover {
    static constexpr size_t kHistory = 16;
    uint64_t all = 0, huge = 0, failed = 0;
    size_t next = 0;               // the member that took the last
    uint32_t history[kHistory]{};  // hashes of flows, some of the latest
};

// Owned by its members; the group ends with the last.
class FanoutGroup final : public RefCounted<FanoutGroup>,
                          public boost::intrusive::list_base_hook<
                              boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  public:
    // The group of this id, or a new one, whose members all have this hook. EINVAL: unknown, or not
    // like the group that there is; ENOSPC: it is full; ENOMEM.
    static Result<RefPtr<FanoutGroup>> find_or_create(const fanout_args& wanted,
                                                      const PacketHook& hook);
    // Preconditions: find_or_create() gave it for `member`; it is (not) a member.
    void add(PacketSocket& member) { members_[count_++] = &member; }
    void remove(PacketSocket& member);

    uint32_t describe() const { return id_ | uint32_t{type_} << 16 | uint32_t{flags_} << 24; }
    uint8_t type() const { return type_; }
    bool rolls_over() const {
        return type_ == PACKET_FANOUT_ROLLOVER || (flags_ & PACKET_FANOUT_FLAG_ROLLOVER >> 8);
    }
    void set_program(RefPtr<BpfProgram> program) { program_ = std::move(program); }

    // Gives the frame to one member, if it is for the group; `sender` is a socket that sends it
    // just now, or null.
    void offer(const Buffer& frame, const Interface& interface, const PacketSocket* sender);

    FanoutGroup(const fanout_args& wanted, const PacketHook& hook,
                std::unique_ptr<PacketSocket*[]> members, uint32_t most);

  private:
    size_t choose(const Buffer& frame, const Interface& interface);
    uint32_t run_program(const Buffer& frame, const Interface& interface) const;
    size_t roll_over(size_t index, bool tries_itself, const Buffer& frame);

    uint16_t id_;
    uint8_t type_, flags_;
    PacketHook hook_;
    std::unique_ptr<PacketSocket*[]> members_;
    uint32_t count_ = 0, most_;
    uint32_t turn_ = 0;
    RefPtr<BpfProgram> program_;
};

// To all groups.
void offer_to_fanouts(const Buffer& frame, const Interface& interface, const PacketSocket* sender);

}  // namespace coracle::net
