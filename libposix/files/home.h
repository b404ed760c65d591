// When a file finds a home (File::home): once one CPU has used it often enough in a row.
#pragma once

#include <cstdint>

#include "kernel-min/sched/cpu.h"

namespace coracle {

class HomeSearch {
  public:
    // Counts a use by this CPU, under the kernel lock held alone. True: it is time to look whether
    // the file can have its home here.
    bool note_use() {
        const uint32_t cpu = current_cpu()->id;
        if (cpu != cpu_) {
            cpu_ = cpu;
            uses_ = 0;
        }
        return ++uses_ % kUses == 0;
    }

  private:
    static constexpr uint32_t kUses = 16;
    uint32_t cpu_ = 0, uses_ = 0;
};

}  // namespace coracle
