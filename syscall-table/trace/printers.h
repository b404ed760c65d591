// How each type of types.tbl is printed. A printer of a value gets it as the handler would, with
// its sign; one of a structure gets a copy; one of an array gets its address and length.
#pragma once

#include <cstdint>
#include <type_traits>

#include "syscall-table/trace/call.h"
#include "syscall-table/trace/tables.h"

struct epoll_event;
struct iovec;
struct itimerspec;
struct itimerval;
struct mmsghdr;
struct mq_attr;
struct msghdr;
struct open_how;
struct pollfd;
struct rlimit;
struct rusage;
struct sched_param;
struct sembuf;
struct stat;
struct statfs;
struct statx;
struct sysinfo;
struct timespec;
struct timeval;
struct timezone;
struct tms;
struct utimbuf;
struct utsname;
struct clone_args;
struct __user_cap_header_struct;

namespace coracle {
struct AlternateStack;
struct SignalAction;
struct SignalInfo;
struct SigsetAndSize;
}  // namespace coracle

namespace coracle::trace {

// print_values.cpp
void print_decimal(Call&, int64_t);
void print_unsigned(Call&, int64_t);
void print_hex(Call&, int64_t);
void print_pointer(Call&, int64_t);
void print_noreturn(Call&, int64_t);
void print_dirfd(Call&, int64_t);
void print_id(Call&, int64_t);
void print_octal(Call&, int64_t);
void print_mode(Call&, int64_t);
void print_file_mode(Call&, int64_t);
void print_create_mode(Call&, int64_t);
void print_device(Call&, int64_t);
void print_open_flags(Call&, int64_t);
void print_access_mode(Call&, int64_t);
void print_map_flags(Call&, int64_t);
void print_mremap_addr(Call&, int64_t);
void print_clone_flags(Call&, int64_t);
void print_personality(Call&, int64_t);
void print_statx_flags(Call&, int64_t);
void print_membarrier_result(Call&, int64_t);
void print_clock_id(Call&, int64_t);
void print_socket_type(Call&, int64_t);
void print_socket_protocol(Call&, int64_t);
void print_socket_option(Call&, int64_t);
void print_wait_status(Call&, uint64_t address, uint64_t);
void print_sched_policy_result(Call&, int64_t);
void print_arch_prctl_arg(Call&, int64_t);

// print_strings.cpp
void print_path(Call&, uint64_t address, uint64_t);
void print_string(Call&, uint64_t address, uint64_t);
void print_bytes(Call&, uint64_t address, uint64_t count);
void print_hex_bytes(Call&, uint64_t address, uint64_t count);
void print_argv(Call&, uint64_t address, uint64_t);
void print_envp(Call&, uint64_t address, uint64_t);
void print_address(Call&, uint64_t address, uint64_t);

// print_files.cpp
void print_stat(Call&, const struct stat&);
void print_statx(Call&, const struct statx&);
void print_statfs(Call&, const struct statfs&);
void print_iovec(Call&, const struct iovec&);
void print_iovec_address(Call&, const struct iovec&);
void print_read_vectors(Call&, uint64_t address, uint64_t count);
void print_open_how(Call&, const struct open_how&);
void print_dirents(Call&, uint64_t address, uint64_t size);
void print_dirents64(Call&, uint64_t address, uint64_t size);
void print_fcntl_arg(Call&, int64_t);
void print_fcntl_result(Call&, int64_t);

// print_terminal.cpp
void print_ioctl_command(Call&, int64_t);
void print_ioctl_arg(Call&, int64_t);

// print_process.cpp
void print_rlimit(Call&, const struct rlimit&);
void print_rusage(Call&, const struct rusage&);
void print_tms(Call&, const struct tms&);
void print_sysinfo(Call&, const struct sysinfo&);
void print_utsname(Call&, const struct utsname&);
void print_sched_param(Call&, const struct sched_param&);
void print_cap_header(Call&, const struct __user_cap_header_struct&);
void print_clone_args(Call&, const struct clone_args&);
void print_cpu_set(Call&, uint64_t address, uint64_t size);
void print_prctl_arg(Call&, int64_t);
void print_prctl_result(Call&, int64_t);

// print_time.cpp
void print_timespec(Call&, const struct timespec&);
void print_utime_timespec(Call&, const struct timespec&);
void print_timeval(Call&, const struct timeval&);
void print_utime_timeval(Call&, const struct timeval&);
void print_utimbuf(Call&, const struct utimbuf&);
void print_remaining_time(Call&, uint64_t address, uint64_t);
void print_timezone(Call&, const struct timezone&);
void print_itimerspec(Call&, const struct itimerspec&);
void print_itimerval(Call&, const struct itimerval&);
void print_time_result(Call&, int64_t);

// print_signals.cpp
void print_signal(Call&, int64_t);
void print_signal_result(Call&, int64_t);
void print_sigset(Call&, const uint64_t&);
void print_sigset_and_size(Call&, const SigsetAndSize&);
void print_sigaction(Call&, const SignalAction&);
void print_sigaltstack(Call&, const AlternateStack&);
void print_siginfo(Call&, const SignalInfo&);
void put_siginfo(Line&, const SignalInfo&);

// print_waiting.cpp
void print_pollfds(Call&, uint64_t address, uint64_t count);
void print_poll_count(Call&, int64_t);
void print_fd_set(Call&, uint64_t address, uint64_t descriptors);
void print_select_count(Call&, int64_t);
void print_epoll_event(Call&, const struct epoll_event&);
void print_futex_operation(Call&, int64_t);
void print_futex_timeout(Call&, int64_t);
void print_futex_word2(Call&, int64_t);
void print_futex_value3(Call&, int64_t);

// print_sockets.cpp
void print_sockaddr(Call&, uint64_t address, uint64_t length);
void print_sockopt(Call&, uint64_t address, uint64_t length);
void print_length_in_out(Call&, uint64_t address, uint64_t);
void print_msghdr(Call&, const struct msghdr&);

void print_mmsghdrs(Call&, uint64_t address, uint64_t count);

// print_ipc.cpp
void print_ipc_key(Call&, int64_t);
void print_ipc_get_flags(Call&, int64_t);
void print_shm_get_flags(Call&, int64_t);
void print_semctl_arg(Call&, int64_t);
void print_msgctl_arg(Call&, int64_t);
void print_shmctl_arg(Call&, int64_t);
void print_message(Call&, int64_t);
void print_sembuf(Call&, const struct sembuf&);
void print_mq_attr(Call&, const struct mq_attr&);

// The adaptors from which generate.py builds kTypeDescriptors.

template <typename T, void (*print)(Call&, int64_t)>
void value(Call& call, uint64_t raw, const ConstantTable*) {
    print(call, static_cast<int64_t>(static_cast<T>(raw)));
}

template <typename T>
void flags(Call& call, uint64_t raw, const ConstantTable* constants) {
    put_flags(call.line, static_cast<std::make_unsigned_t<T>>(raw), *constants);
}

template <typename T>
void one_of(Call& call, uint64_t raw, const ConstantTable* constants) {
    put_one_of(call.line, static_cast<std::make_unsigned_t<T>>(raw), *constants);
}

// Calls print(element) for each, between brackets and commas. An element that cannot be read
// ends the list with its address, as strace does.
template <typename T, typename Print>
void for_each_element(Call& call, uint64_t address, uint64_t count, bool brackets, Print print) {
    if (brackets) call.line.put('[');
    for (uint64_t i = 0; i < count; ++i) {
        if (i != 0) call.line.put(", ");
        T element;
        if (i == kMaxArrayLength) {
            call.line.put("...");
            break;
        }
        if (!call.read(element, address + i * sizeof(T))) {
            if (i != 0) call.line.put("... /* ");
            call.line.put_hex(address + i * sizeof(T));
            if (i != 0) call.line.put(" */");
            break;
        }
        print(element);
    }
    if (brackets) call.line.put(']');
}

// Whether the memory can be read at all: if not, prints the address and returns false.
template <typename T>
bool is_readable(Call& call, uint64_t address) {
    T element;
    if (call.read(element, address)) return true;
    call.line.put_pointer(address);
    return false;
}

template <typename T, ValuePrinter print>
void values(Call& call, uint64_t address, uint64_t count, bool, const ConstantTable* constants) {
    if (count != 0 && !is_readable<T>(call, address)) return;
    for_each_element<T>(call, address, count, true,
                        [&](T element) { print(call, static_cast<uint64_t>(element), constants); });
}

template <typename T, void (*print)(Call&, const T&)>
void structures(Call& call, uint64_t address, uint64_t count, bool is_array, const ConstantTable*) {
    if (count != 0 && !is_readable<T>(call, address)) return;
    for_each_element<T>(call, address, count, is_array,
                        [&](const T& element) { print(call, element); });
}

template <void (*print)(Call&, uint64_t, uint64_t)>
void array(Call& call, uint64_t address, uint64_t count, bool, const ConstantTable*) {
    print(call, address, count);
}

// A string that is passed by its address alone.
template <void (*print)(Call&, uint64_t, uint64_t)>
void string_value(Call& call, uint64_t address, const ConstantTable*) {
    print(call, address, 0);
}

}  // namespace coracle::trace
