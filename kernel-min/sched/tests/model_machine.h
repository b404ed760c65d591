// A machine on the host for the scheduler, the kernel lock and what sleeps above them, all compiled
// unchanged: a CPU is a host thread, a thread of the kernel is a fiber that moves between them, and
// an interrupt is a bit that a CPU sees when it halts or when its program looks. ThreadSanitizer
// knows of the fibers, and that one CPU runs them in turn; between CPUs nothing here orders memory
// for it, but the kernel's own atomics.
//
// Where the threads do not end in time, a wake-up was lost: run() reports what each does.
#pragma once

#include <ucontext.h>

#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "kernel-min/sched/cpu_scheduler.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/scheduler.h"
#include "kernel-min/sched/wait.h"

namespace coracle::model {

using Random = std::minstd_rand;

// A stack with what runs on it.
class Fiber {
  public:
    explicit Fiber(void (*entry)());
    ~Fiber();
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;

    // Leaves `from` for this one.
    void enter(ucontext_t& from);
    ucontext_t context = {};

  private:
    static constexpr size_t kStackSize = 256 * 1024;
    std::unique_ptr<char[]> stack_{new char[kStackSize]};
    void* sanitizer_fiber_;
};

struct ModelThread : Thread {
    ModelThread(void (*entry)(), std::function<void(Random&)> program_in, unsigned seed)
        : fiber(entry), program(std::move(program_in)), random(seed) {}

    Fiber fiber;
    std::function<void(Random&)> program;
    Random random;
    bool has_signal = false;          // guarded by the kernel lock
    const char* doing = "nothing";    // for the report
};

class Machine {
  public:
    explicit Machine(unsigned cpu_count);
    ~Machine();

    // Before run(): a thread of the program.
    ModelThread& add_thread(std::function<void(Random&)> program);
    // Until the last thread has ended. If that takes longer, the process ends with a report.
    void run(unsigned seconds);

  private:
    struct Processor;
    void run_cpu(Processor& processor);
    [[noreturn]] void report() const;

    std::vector<std::unique_ptr<Processor>> processors_;
    std::vector<std::unique_ptr<ModelThread>> threads_;
};

// --- For programs.

ModelThread& self();

// The way into the kernel: one CPU alone takes no lock, as in syscall-table/entry.S.
void enter_kernel();
// The same for a call that uses nothing that is shared but what has this home: where that is the
// CPU, the lock is held locally.
void enter_kernel_at(const uint32_t& home);
// The way out: what is pending first.
void leave_kernel();

// A call of the kernel; its result is the function's own matter.
template <typename Function>
void call(const char* name, Function function) {
    enter_kernel();
    self().doing = name;
    static_cast<void>(function());
    self().doing = "its own work";
    leave_kernel();
}

// Interrupts come where the program looks for them.
void look_for_interrupts();

// note_signal() with a signal that waits until the thread's next way out. In the kernel.
void send_model_signal(ModelThread& thread);

}  // namespace coracle::model
