// A process as a descriptor (pidfd_open(2)). Readable once the process has ended, which no program
// here sees: its own end is that of the machine.
#pragma once

#include "libposix/files/events/anonymous_file.h"

namespace coracle {

class PidFile final : public AnonymousFile {
  public:
    static constexpr FileKind kKind = FileKind::kPidFd;

    PidFile(const Path& path, RefPtr<Inode> inode, uint32_t flags, Process& process)
        : AnonymousFile(path, std::move(inode), flags), process_(process) {
        kind_ = kKind;
    }

    Process& process() const { return process_; }

    uint32_t poll_events() override { return 0; }
    WaitQueue* wait_queue() override { return &end_; }
    void describe_state(TextBuffer& to) override;

  private:
    Process& process_;
    WaitQueue end_;
};

// EBADF: the descriptor is not open, or no process.
Result<RefPtr<PidFile>> get_pid_file(int fd);

}  // namespace coracle
