// The tables that types.tbl names as flags:TABLE and one_of:TABLE, and those that printers use.
#pragma once

#include "syscall-table/trace/constants.h"

namespace coracle::trace::tables {

// tables_files.cpp
extern const ConstantTable open_flags, access_modes, at_flags, faccessat_flags, rename_flags,
    whence, fcntl_commands, fd_flags, lock_types, flock_operations, ioctl_commands, fallocate_modes,
    fadvise, splice_flags, sync_file_range_flags, rwf_flags, xattr_flags, memfd_flags, memfd_seals,
    close_range_flags, inotify_flags, inotify_mask, mount_flags, umount_flags, statx_mask,
    statx_sync_types, signalfd_flags, pidfd_flags, statx_attributes, file_types, file_systems,
    statfs_flags, open_how_resolve, poll_events, epoll_events, epoll_operations, epoll_create_flags,
    eventfd_flags;

// tables_process.cpp
extern const ConstantTable mmap_prot, map_flags, mremap_flags, msync_flags, madvise, mlock_flags,
    mlockall_flags, pkey_rights, mempolicy_modes, clone_flags, unshare_flags, wait_options,
    waitid_types, prctl_options, arch_prctl_options, dumpable, capabilities, rlimit_resources,
    rusage_whos, priority_whichs, ioprio_whichs, sched_policies, kcmp_types, seccomp_operations,
    membarrier_commands, getrandom_flags, sig_hows, sigaction_flags, sigaltstack_flags, clock_ids,
    itimer_whichs, timer_flags, timerfd_flags, timerfd_settime_flags, futex_commands, si_codes,
    si_codes_ill, si_codes_fpe, si_codes_segv, si_codes_bus, si_codes_trap, si_codes_chld,
    termios_iflags, termios_lflags, speeds, personalities, personality_flags, map_types;

// tables_sockets.cpp
extern const ConstantTable address_families, socket_types, socket_flags, socket_levels,
    socket_options, tcp_options, ip_options, ipv6_options, udp_options, raw_options, icmpv6_options,
    packet_options, netlink_options, ip_protocols, netlink_protocols, shutdown_hows, msg_flags,
    control_types;

// tables_ipc.cpp
extern const ConstantTable ipc_get_flags, shm_get_flags, shmat_flags, message_flags, semop_flags,
    semctl_commands, msgctl_commands, shmctl_commands;

}  // namespace coracle::trace::tables
