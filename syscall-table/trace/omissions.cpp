#include "syscall-table/trace/omissions.h"

#include <asm/unistd_64.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "syscall-table/trace/call.h"

namespace coracle::trace {

namespace {

constexpr uint8_t first(unsigned count) {
    return static_cast<uint8_t>((1u << count) - 1);
}

bool creates(uint64_t open_flags) {
    return (open_flags & O_CREAT) || (open_flags & O_TMPFILE) == O_TMPFILE;
}

bool is_device(uint64_t mode) {
    return S_ISCHR(mode) || S_ISBLK(mode);
}

uint8_t shown_of_fcntl(int command) {
    switch (command) {
        case F_GETFD:
        case F_GETFL:
        case F_GETOWN:
        case F_GETSIG:
        case F_GETLEASE:
        case F_GETPIPE_SZ:
        case F_GET_SEALS:
            return first(2);
        default:
            return first(3);
    }
}

uint8_t shown_of_ioctl(uint32_t command) {
    switch (command) {
        case FIOCLEX:
        case FIONCLEX:
        case TIOCNOTTY:
        case TIOCEXCL:
        case TIOCNXCL:
            return first(2);
        default:
            return first(3);
    }
}

uint8_t shown_of_futex(int operation) {
    constexpr uint8_t kWord2 = 1 << 4, kValue3 = 1 << 5;
    switch (operation & FUTEX_CMD_MASK) {
        case FUTEX_WAKE:
        case FUTEX_FD:
            return first(3);
        case FUTEX_UNLOCK_PI:
        case FUTEX_TRYLOCK_PI:
            return first(2);
        case FUTEX_WAIT:
            return first(4);
        case FUTEX_LOCK_PI:
            return first(2) | 1 << 3;
        case FUTEX_WAIT_BITSET:
            return first(4) | kValue3;
        case FUTEX_WAKE_BITSET:
            return first(3) | kValue3;
        case FUTEX_REQUEUE:
        case FUTEX_WAIT_REQUEUE_PI:
            return first(4) | kWord2;
        default:
            return first(6);
    }
}

uint8_t shown_of_prctl(int option) {
    switch (option) {
        case PR_GET_DUMPABLE:
        case PR_GET_KEEPCAPS:
        case PR_GET_SECCOMP:
        case PR_GET_TIMERSLACK:
        case PR_GET_TIMING:
        case PR_GET_SECUREBITS:
            return first(1);
        case PR_SET_PDEATHSIG:
        case PR_GET_PDEATHSIG:
        case PR_SET_DUMPABLE:
        case PR_SET_KEEPCAPS:
        case PR_SET_NAME:
        case PR_GET_NAME:
        case PR_CAPBSET_READ:
        case PR_CAPBSET_DROP:
        case PR_SET_TIMERSLACK:
        case PR_SET_CHILD_SUBREAPER:
        case PR_GET_CHILD_SUBREAPER:
        case PR_GET_TID_ADDRESS:
            return first(2);
        default:
            return first(5);
    }
}

}  // namespace

uint8_t shown_arguments(const Call& call, unsigned argument_count) {
    const uint64_t(&arguments)[6] = call.arguments;
    switch (call.number) {
        case __NR_open:
            return first(creates(arguments[1]) ? 3 : 2);
        case __NR_openat:
            return first(creates(arguments[2]) ? 4 : 3);
        case __NR_fcntl:
            return shown_of_fcntl(static_cast<int>(arguments[1]));
        case __NR_ioctl:
            return shown_of_ioctl(static_cast<uint32_t>(arguments[1]));
        case __NR_futex:
            return shown_of_futex(static_cast<int>(arguments[1]));
        case __NR_prctl:
            return shown_of_prctl(static_cast<int>(arguments[0]));
        case __NR_mknod:
            return first(is_device(arguments[1]) ? 3 : 2);
        case __NR_mknodat:
            return first(is_device(arguments[2]) ? 4 : 3);
        case __NR_membarrier:
            return first(arguments[1] & MEMBARRIER_CMD_FLAG_CPU ? 3 : 2);
        case __NR_mremap:
            return first(arguments[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? 5 : 4);
        default:
            return first(argument_count);
    }
}

}  // namespace coracle::trace
