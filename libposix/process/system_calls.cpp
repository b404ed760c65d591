// uname, sysinfo, getrandom, personality.
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstring>

#include "kernel-min/lib/random.h"
#include "kernel-min/lib/user_ptr.h"
#include "kernel-min/memory/frames.h"
#include "libposix/process/identity.h"
#include "libposix/process/process.h"
#include "libposix/time/clock.h"
#include "syscall-table/handlers.h"

namespace coracle {
namespace {

// Programs read the release as three numbers: that of the Linux whose interface this is.
struct utsname current_name = {
    "Linux", "coracle", "6.1.0-coracle", "#1 SMP PREEMPT_DYNAMIC Coracle", "x86_64", "(none)"};

}  // namespace

const struct utsname& system_name() { return current_name; }

void set_host_name(const char* name) {
    const size_t length = std::min(strlen(name), sizeof(current_name.nodename) - 1);
    memset(current_name.nodename, 0, sizeof(current_name.nodename));
    memcpy(current_name.nodename, name, length);
}

Result<long> sys_uname(UserOut<struct utsname> name) {
    TRY(name.write(current_name));
    return 0;
}

Result<long> sys_sysinfo(UserOut<struct sysinfo> info) {
    const FrameStatistics frames = frame_statistics();
    struct sysinfo answer = {};
    answer.uptime = static_cast<long>((monotonic_ns() + kNsPerSecond - 1) / kNsPerSecond);
    answer.totalram = frames.total * kPageSize;
    answer.freeram = frames.free * kPageSize;
    answer.procs = 1;
    answer.mem_unit = 1;
    TRY(info.write(answer));
    return 0;
}

Result<long> sys_getrandom(UserOut<char> buffer, size_t count, unsigned int flags) {
    if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE)) return Error(EINVAL);
    if ((flags & GRND_RANDOM) && (flags & GRND_INSECURE)) return Error(EINVAL);
    constexpr size_t kMaxCount = INT32_MAX & ~(kPageSize - 1);
    count = std::min(count, kMaxCount);
    size_t done = 0;
    while (done < count) {
        uint8_t bytes[256];
        const size_t piece = std::min(sizeof(bytes), count - done);
        fill_random(bytes, piece);
        const size_t copied = copy_to_user_partial(buffer.address() + done, bytes, piece);
        memset(bytes, 0, sizeof(bytes));
        done += copied;
        if (copied < piece) break;
    }
    if (done == 0 && count != 0) return Error(EFAULT);
    return static_cast<long>(done);
}

Result<long> sys_personality(unsigned int persona) {
    constexpr unsigned int kQuery = 0xffffffff;
    Process& process = *current_process();
    const uint32_t previous = process.personality;
    if (persona != kQuery) process.personality = persona;
    return previous;
}

}  // namespace coracle
