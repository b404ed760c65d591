// What the other rooms need of IPC.
#pragma once

#include "kernel-min/lib/result.h"
#include "libposix/fs/pseudo/text_buffer.h"

namespace coracle {

class Process;

// The process ends: undoes its semaphore operations (SEM_UNDO).
void end_ipc_of(Process& process);

// The tables of /proc/sysvipc.
void show_semaphore_sets(TextBuffer& to);
void show_message_queues(TextBuffer& to);
void show_shared_memory(TextBuffer& to);

}  // namespace coracle
