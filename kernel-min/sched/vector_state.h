// The vector and floating-point registers of a thread that does not run. The kernel leaves them
// alone, so they are saved at a switch only; and a thread that called the kernel as a C function
// keeps only the control words, for the ABI lets the rest be lost.
#pragma once

#include <cstdint>

#include "kernel-min/lib/result.h"

namespace coracle {

class VectorState {
  public:
    VectorState() = default;
    VectorState(const VectorState&) = delete;
    VectorState& operator=(const VectorState&) = delete;

    // Takes memory for all registers: release() gives it back. ENOMEM.
    Result<void> allocate();
    void release();
    bool is_allocated() const { return area_ != nullptr; }

    void save_all();        // after allocate()
    void save_control() {   // MXCSR and the x87 control word
        asm volatile("stmxcsr %0; fnstcw %1" : "=m"(mxcsr_), "=m"(x87_control_));
        holds_all_ = false;
    }
    // Loads what was saved last. `left_all`: the CPU holds all registers of another thread.
    void restore(bool left_all) const {
        if (holds_all_) return restore_all();
        if (left_all) asm volatile("fninit");  // the ABI wants an empty x87 stack
        asm volatile("ldmxcsr %0; fldcw %1" ::"m"(mxcsr_), "m"(x87_control_));
    }

  private:
    void restore_all() const;

    uint8_t* area_ = nullptr;
    uint32_t mxcsr_ = 0x1f80;
    uint16_t x87_control_ = 0x37f;
    bool holds_all_ = false;
};

}  // namespace coracle
