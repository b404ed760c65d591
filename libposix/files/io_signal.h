// Signal-driven I/O (fcntl(2), "Managing signals"): a file with O_ASYNC sends its owner a signal
// whenever it becomes ready.
#pragma once

#include "kernel-min/lib/result.h"
#include "kernel-min/sched/wait.h"

namespace coracle {

class File;

// F_SETOWN_EX: whom the signal goes to. 0: nobody.
struct FileOwner {
    enum Type : int32_t { kThread, kProcess, kGroup };  // F_OWNER_*
    int32_t type = kThread;
    int32_t id = 0;
};

// ESRCH: there is no such thread, process or group.
Result<void> set_file_owner(File& file, FileOwner owner);
// F_SETOWN's number: a group if it is negative. EINVAL, ESRCH.
Result<void> set_file_owner(File& file, int32_t number);
// F_GETOWN's.
int32_t file_owner_number(const File& file);

// Watches a file for its owner while it exists.
class IoSignal {
  public:
    IoSignal(File& file, int fd);

  private:
    static bool on_wake(WaitEntry& wait_entry, uint32_t events);
    void send(uint32_t events) const;

    struct Entry : WaitEntry {
        explicit Entry(IoSignal& to) : WaitEntry(on_wake), signal(to) {}
        IoSignal& signal;
    };
    Entry entry_;
    File& file_;
    const int fd_;  // that it was asked for by: siginfo's
};

// SIGURG for the file's owner, O_ASYNC or not: urgent data is here.
void send_urgent_signal(const File& file);

// Sets or clears O_ASYNC for a file that can do so (File::can_signal). ENOMEM.
Result<void> set_io_signal(File& file, int fd, bool on);

}  // namespace coracle
