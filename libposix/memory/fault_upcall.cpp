#include <cstring>
#include <string_view>

#include "kernel-min/devices/host_channel.h"
#include "libposix/memory/page_fault.h"
#include "libposix/process/process.h"
#include "libposix/signals/signal_delivery.h"

namespace coracle {

namespace {

// Once for each process: a copy routine may meet the same page again on its way out.
void report_out_of_memory(const Process& process) {
    static uint32_t reported_pid;
    if (reported_pid == process.pid) return;
    reported_pid = process.pid;
    constexpr std::string_view kStart = "out of memory: killed ", kEnd = "; give a larger -m";
    char line[kStart.size() + sizeof(process.name) + kEnd.size()];
    size_t name_length = strnlen(process.name, sizeof(process.name));
    memcpy(line, kStart.data(), kStart.size());
    memcpy(line + kStart.size(), process.name, name_length);
    memcpy(line + kStart.size() + name_length, kEnd.data(), kEnd.size());
    host_channel::report_line({line, kStart.size() + name_length + kEnd.size()});
}

}  // namespace

void kill_for_memory() {
    if (!current_process()) return;  // an idle thread: the next refill may do
    report_out_of_memory(*current_process());
    force_signal(kSigKill);
}

bool handle_page_fault(TrapFrame& frame) {
    Process* process = current_process();
    uint64_t address = frame.cr2;
    FaultOutcome outcome = FaultOutcome::kNotMapped;
    if (process && process->address_space && address < kUserEnd) {
        outcome = process->address_space->resolve_fault(address, frame.error_code & kFaultWrite,
                                                        frame.error_code & kFaultFetch);
    }
    if (outcome == FaultOutcome::kResolved) return true;
    // Whether the program or a call on its behalf touched the page: it cannot go on.
    if (outcome == FaultOutcome::kOutOfMemory) kill_for_memory();
    if (!frame.from_application()) return false;
    switch (outcome) {
        case FaultOutcome::kNotMapped:
            force_signal_fault(kSigSegv, kSegvMaperr, address);
            break;
        case FaultOutcome::kNoAccess:
            force_signal_fault(kSigSegv, kSegvAccerr, address);
            break;
        case FaultOutcome::kBeyondObject:
            force_signal_fault(kSigBus, kBusAdrerr, address);
            break;
        case FaultOutcome::kOutOfMemory:
        case FaultOutcome::kResolved:
            break;
    }
    return true;
}

}  // namespace coracle
