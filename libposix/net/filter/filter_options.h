// SO_ATTACH_FILTER, SO_DETACH_FILTER and SO_GET_FILTER, SO_ATTACH_REUSEPORT_CBPF and
// SO_DETACH_REUSEPORT_BPF (man 7 socket; SO_LOCK_FILTER is a plain option that these honour).
// Programs of bpf(2) are known by their descriptors alone, of which there can be none.
#pragma once

#include "libposix/net/filter/bpf_program.h"
#include "libposix/net/socket_options.h"

namespace coracle::net {

constexpr bool is_filter_change(int option) {
    return option == SO_ATTACH_FILTER || option == SO_DETACH_FILTER || option == SO_ATTACH_BPF;
}
constexpr int kDetachReuseportBpf = 68;  // newer than the C library's header
constexpr bool is_reuseport_change(int option) {
    return option == SO_ATTACH_REUSEPORT_CBPF || option == SO_ATTACH_REUSEPORT_EBPF ||
           option == kDetachReuseportBpf;
}
// The struct sock_fprog of an option's value. EINVAL: it is none, or not a valid program; ENOMEM,
// EFAULT.
Result<RefPtr<BpfProgram>> read_bpf_program(UserIn<char> value, unsigned length);
// What Linux says of a descriptor that is not one of bpf(2): EBADF, or EINVAL where it is another.
Error no_ebpf_program(int fd);
// EPERM: locked; EINVAL: not a valid program; ENOENT: nothing to detach; ENOPROTOOPT: a socket
// without filters; ENOMEM, EFAULT.
Result<void> change_filter(Socket& socket, int option, UserIn<char> value, unsigned length);
// Which socket of those that share a port gets what comes. As above, and EINVAL: it shares none.
Result<void> change_reuseport_program(Socket& socket, int option, UserIn<char> value,
                                      unsigned length);
// The program as it was given; lengths count instructions. EINVAL: there is no room for it.
Result<void> get_filter(const Socket& socket, const OptionWriter& to);

}  // namespace coracle::net
