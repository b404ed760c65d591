// getpid(2) and its like, read from the process page: three instructions. Under another kernel
// they are glibc's.
#include <sys/types.h>

#include "libposix/libc/calls/process_page.h"

using coracle::libc::coracle_process_page;

namespace {

template <typename Result, auto member>
Result read_page() {
    return static_cast<Result>(coracle_process_page->*member);
}

}  // namespace

#define IDENTITY(result, name, member)                                                        \
    extern "C" result glibc_##name();                                                         \
    extern "C" result (*resolve_##name())() {                                                 \
        if (coracle_process_page == nullptr) return glibc_##name;                             \
        return read_page<result, &coracle::abi::ProcessPage::member>;                         \
    }                                                                                         \
    extern "C" __attribute__((visibility("default"), ifunc("resolve_" #name))) result name(); \
    extern "C" __attribute__((visibility("default"), ifunc("resolve_" #name))) result __##name();

IDENTITY(pid_t, getpid, pid)
IDENTITY(pid_t, getppid, ppid)
IDENTITY(uid_t, getuid, uid)
IDENTITY(uid_t, geteuid, euid)
IDENTITY(gid_t, getgid, gid)
IDENTITY(gid_t, getegid, egid)
