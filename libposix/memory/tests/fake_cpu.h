// A CPU for address spaces under test: a TLB that keeps what it has seen until it is told
// otherwise, so that a missing flush shows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "libposix/memory/address_space.h"

namespace coracle {

class FakeCpu {
  public:
    // Translates one access as hardware does, with page faults resolved by `space`. The bytes of
    // the page, or what the last fault came to.
    struct Access {
        uint8_t* byte = nullptr;
        FaultOutcome outcome = FaultOutcome::kResolved;
    };
    Access access(AddressSpace& space, uint64_t address, bool write);

    void flush_page(uint64_t address);
    void flush_all() { tlb_.clear(); }
    uint64_t gates = 0;  // how often a gate was used

  private:
    struct Translation {
        PhysAddr frame;
        bool writable;
        bool is_huge;
    };
    std::optional<Translation> walk(AddressSpace& space, uint64_t page);

    std::map<uint64_t, Translation> tlb_;
};

extern FakeCpu fake_cpu;

}  // namespace coracle
