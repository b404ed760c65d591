// exit(2) and exit_group(2).
#include "libposix/process/threads.h"
#include "syscall-table/handlers.h"

namespace coracle {

Result<long> sys_exit(int status) { exit_thread(status); }

Result<long> sys_exit_group(int status) {
    exit_process(static_cast<uint32_t>(status & 0xff) << 8);
}

}  // namespace coracle
