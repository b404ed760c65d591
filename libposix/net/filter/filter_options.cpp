#include "libposix/net/filter/filter_options.h"

#include <memory>
#include <new>

#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/heap.h"
#include "libposix/files/descriptor_table.h"
#include "libposix/net/socket.h"
#include "libposix/process/process.h"

namespace coracle::net {

Result<RefPtr<BpfProgram>> read_bpf_program(UserIn<char> value, unsigned length) {
    if (length != sizeof(sock_fprog)) return Error(EINVAL);
    const auto given = TRY(UserIn<sock_fprog>(value.address()).read());
    const size_t count = given.len;
    if (!given.filter || count == 0 || count > BpfProgram::kMaxInstructions) return Error(EINVAL);
    const size_t size = count * sizeof(sock_filter);
    std::unique_ptr<sock_filter[]> code(new (std::nothrow) sock_filter[count]);
    if (!code || size > BpfProgram::kMaxMemory) return Error(ENOMEM);
    const auto address = reinterpret_cast<uint64_t>(given.filter);
    if (!is_user_range(address, size) || !copy_from_user(code.get(), address, size)) {
        return Error(EFAULT);
    }
    return BpfProgram::create({code.get(), count});
}

Error no_ebpf_program(int fd) {
    return Error(current_process()->descriptors->borrow(fd) ? EINVAL : EBADF);
}

Result<void> change_filter(Socket& socket, int option, UserIn<char> value, unsigned length) {
    if (!socket.has_filter()) return Error(ENOPROTOOPT);
    TRY(read_option(value, length));
    SocketOptions& options = socket.options;
    if (options.is_on(SO_LOCK_FILTER)) return Error(EPERM);
    if (option == SO_ATTACH_BPF) {
        if (length != sizeof(int)) return Error(EINVAL);
        return no_ebpf_program(TRY(read_option(value, length)));
    }
    if (option == SO_DETACH_FILTER) {
        if (!options.filter) return Error(ENOENT);
        options.filter = nullptr;
    } else {
        options.filter = TRY(read_bpf_program(value, length));
    }
    return {};
}

Result<void> change_reuseport_program(Socket& socket, int option, UserIn<char> value,
                                      unsigned length) {
    const int number = TRY(read_option(value, length));
    if (option == kDetachReuseportBpf) return socket.set_reuseport_program(nullptr);
    if (socket.options.is_on(SO_LOCK_FILTER)) return Error(EPERM);
    if (option == SO_ATTACH_REUSEPORT_EBPF) {
        if (length != sizeof(int)) return Error(EINVAL);
        return no_ebpf_program(number);
    }
    return socket.set_reuseport_program(TRY(read_bpf_program(value, length)));
}

Result<void> get_filter(const Socket& socket, const OptionWriter& to) {
    if (!socket.has_filter()) return Error(ENOPROTOOPT);
    const RefPtr<BpfProgram> filter = socket.options.filter;
    if (!filter) return to.put_length(0);
    const auto code = filter->instructions();
    // Room of 0 asks for the length alone.
    if (to.room() != 0) {
        if (to.room() < code.size()) return Error(EINVAL);
        if (!is_user_range(to.address(), code.size_bytes()) ||
            !copy_to_user(to.address(), code.data(), code.size_bytes())) {
            return Error(EFAULT);
        }
    }
    return to.put_length(code.size());
}

}  // namespace coracle::net
