// Earlier versions of functions, each as its manual page or glibc's release notes say what changed.
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <math.h>
#include <regex.h>
#include <sched.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED extern "C" __attribute__((visibility("default")))

extern "C" {
int __spawni(pid_t* pid, const char* path, const posix_spawn_file_actions_t* actions,
             const posix_spawnattr_t* attributes, char* const argv[], char* const envp[],
             int flags);
[[noreturn]] void __run_exit_handlers(int status, void** list, bool run_list_atexit,
                                      bool run_dtors);
extern void* __quick_exit_funcs;
// The headers have these two for g++ alone.
int totalorderf128(const __float128* x, const __float128* y) noexcept;
int totalordermagf128(const __float128* x, const __float128* y) noexcept;
}

// Until 2.15 a file without a magic number was given to the shell.
constexpr int kSpawnUsePath = 1, kSpawnTryShell = 2;
EXPORTED int compat_GLIBC_2_2_5_posix_spawn(pid_t* pid, const char* path,
                                            const posix_spawn_file_actions_t* actions,
                                            const posix_spawnattr_t* attributes, char* const argv[],
                                            char* const envp[]) {
    return __spawni(pid, path, actions, attributes, argv, envp, kSpawnTryShell);
}
EXPORTED int compat_GLIBC_2_2_5_posix_spawnp(pid_t* pid, const char* file,
                                             const posix_spawn_file_actions_t* actions,
                                             const posix_spawnattr_t* attributes,
                                             char* const argv[], char* const envp[]) {
    return __spawni(pid, file, actions, attributes, argv, envp, kSpawnTryShell | kSpawnUsePath);
}

// Flags that were not known then are ignored.
EXPORTED int compat_GLIBC_2_2_5_regexec(const regex_t* regex, const char* text, size_t count,
                                        regmatch_t* matches, int flags) {
    return regexec(regex, text, count, matches, flags & (REG_NOTBOL | REG_NOTEOL));
}
EXPORTED int compat_GLIBC_2_2_5_nftw(const char* path, __nftw_func_t function, int descriptors,
                                     int flags) {
    return nftw(path, function, descriptors,
                flags & (FTW_PHYS | FTW_MOUNT | FTW_CHDIR | FTW_DEPTH));
}

EXPORTED char* compat_GLIBC_2_2_5_realpath(const char* path, char* resolved) {
    if (resolved != nullptr) return realpath(path, resolved);
    errno = EINVAL;
    return nullptr;
}

EXPORTED FILE* compat_GLIBC_2_2_5_fmemopen(void* buffer, size_t size, const char* mode) {
    if (size != 0) return fmemopen(buffer, size, mode);
    errno = EINVAL;
    return nullptr;
}

// It also ran the destructors of thread-local variables.
EXPORTED void compat_GLIBC_2_10_quick_exit(int status) {
    __run_exit_handlers(status, &__quick_exit_funcs, false, true);
}

// Without a size: a cpu_set_t of 1024 bits.
EXPORTED int compat_GLIBC_2_3_3_sched_setaffinity(pid_t pid, const cpu_set_t* set) {
    return sched_setaffinity(pid, sizeof(cpu_set_t), set);
}
EXPORTED int compat_GLIBC_2_3_3_sched_getaffinity(pid_t pid, cpu_set_t* set) {
    return sched_getaffinity(pid, sizeof(cpu_set_t), set);
}

EXPORTED int stime(const time_t* when) {
    const timespec time = {*when, 0};
    return clock_settime(CLOCK_REALTIME, &time);
}

EXPORTED int ustat(dev_t device, void* result) {
    return static_cast<int>(syscall(SYS_ustat, device, result));
}

EXPORTED int isastream(int descriptor) {
    return fcntl(descriptor, F_GETFD) < 0 ? -1 : 0;
}

EXPORTED int compat_xmknod(int version, const char* path, mode_t mode, dev_t* device) {
    if (version == 0) return mknod(path, mode, *device);
    errno = EINVAL;
    return -1;
}
EXPORTED int compat_xmknodat(int version, int directory, const char* path, mode_t mode,
                             dev_t* device) {
    if (version == 0) return mknodat(directory, path, mode, *device);
    errno = EINVAL;
    return -1;
}

// The last argument is told whether the input ended before the first conversion.
EXPORTED int compat_vfscanf(FILE* stream, const char* format, va_list arguments, int* error) {
    const int result = vfscanf(stream, format, arguments);
    if (error != nullptr) *error = result == EOF ? 1 : 0;
    return result;
}

// Arguments by value until 2.31.
#define TOTAL_ORDER(function, type)                             \
    EXPORTED int compat_GLIBC_2_25_##function(type x, type y) { \
        return function(&x, &y);                                \
    }
TOTAL_ORDER(totalorder, double)
TOTAL_ORDER(totalorderf, float)
TOTAL_ORDER(totalorderl, long double)
TOTAL_ORDER(totalordermag, double)
TOTAL_ORDER(totalordermagf, float)
TOTAL_ORDER(totalordermagl, long double)
EXPORTED int compat_GLIBC_2_26_totalorderf128(__float128 x, __float128 y) {
    return totalorderf128(&x, &y);
}
EXPORTED int compat_GLIBC_2_26_totalordermagf128(__float128 x, __float128 y) {
    return totalordermagf128(&x, &y);
}

// sigset_t as macros of the headers saw it, without checks.
namespace {
constexpr unsigned kWordBits = 8 * sizeof(unsigned long);
unsigned long signal_bit(int signal) {
    return 1UL << (signal - 1) % kWordBits;
}
unsigned long& signal_word(sigset_t* set, int signal) {
    return reinterpret_cast<unsigned long*>(set)[static_cast<unsigned>(signal - 1) / kWordBits];
}
}  // namespace
EXPORTED int __sigismember(sigset_t* set, int signal) {
    return (signal_word(set, signal) & signal_bit(signal)) != 0;
}
EXPORTED int __sigaddset(sigset_t* set, int signal) {
    signal_word(set, signal) |= signal_bit(signal);
    return 0;
}
EXPORTED int __sigdelset(sigset_t* set, int signal) {
    signal_word(set, signal) &= ~signal_bit(signal);
    return 0;
}
