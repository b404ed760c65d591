// /proc/sys: the settings of the system, as they are here (man 5 proc_sys).
#include "kernel-min/lib/random.h"
#include "libposix/fs/dentry_cache.h"
#include "libposix/fs/proc/procfs.h"
#include "libposix/ipc/posix_queue.h"
#include "libposix/net/proc_net.h"
#include "libposix/process/credentials.h"
#include "libposix/process/identity.h"

namespace coracle {
namespace {

template <int64_t value>
Result<void> show(TextBuffer& to, const PseudoContext&) {
    to.print("%ld\n", value);
    return {};
}

// An entry with a number that does not change.
template <int64_t value>
constexpr PseudoEntry number(std::string_view name) {
    return PseudoEntry::file(name, show<value>);
}

Result<void> show_line(TextBuffer& to, const char* text) {
    to.print("%s\n", text);
    return {};
}
Result<void> show_hostname(TextBuffer& to, const PseudoContext&) {
    return show_line(to, system_name().nodename);
}
Result<void> show_domainname(TextBuffer& to, const PseudoContext&) {
    return show_line(to, system_name().domainname);
}
Result<void> show_osrelease(TextBuffer& to, const PseudoContext&) {
    return show_line(to, system_name().release);
}
Result<void> show_ostype(TextBuffer& to, const PseudoContext&) {
    return show_line(to, system_name().sysname);
}
Result<void> show_version(TextBuffer& to, const PseudoContext&) {
    return show_line(to, system_name().version);
}
Result<void> store_hostname(std::string_view text, const PseudoContext&) {
    char name[65] = {};
    if (text.ends_with('\n')) text.remove_suffix(1);
    text = text.substr(0, sizeof(name) - 1);
    text.copy(name, text.size());
    set_host_name(name);
    return {};
}
Result<void> show_core_pattern(TextBuffer& to, const PseudoContext&) {
    return show_line(to, "core");
}
Result<void> show_cad_tainted(TextBuffer& to, const PseudoContext&) { return show_line(to, "0"); }
Result<void> show_sem(TextBuffer& to, const PseudoContext&) {
    return show_line(to, "32000\t1024000000\t500\t32000");
}
Result<void> show_printk(TextBuffer& to, const PseudoContext&) {
    return show_line(to, "4\t4\t1\t7");
}
Result<void> show_shmmax(TextBuffer& to, const PseudoContext&) {
    return show_line(to, "18446744073692774399");
}

// 1 frees clean pages of files, of which there are none: what files hold in memory is nowhere else,
// and the root image is read in place. 2 frees names and inodes that nobody uses; 4 keeps the log
// silent (Documentation/admin-guide/sysctl/vm.rst).
Result<void> store_drop_caches(std::string_view text, const PseudoContext&) {
    constexpr std::string_view kSpace = " \t\n";
    const size_t start = text.find_first_not_of(kSpace);
    if (start == text.npos) return Error(EINVAL);
    const int64_t what =
        parse_number(text.substr(start, text.find_last_not_of(kSpace) + 1 - start));
    if (what < 1 || what > 4) return Error(EINVAL);
    if (what & 2) DentryCache::drop_unused();
    return {};
}

// A version-4 UUID (RFC 4122, 4.4).
void print_uuid(TextBuffer& to, const uint8_t (&bytes)[16]) {
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) to.add("-");
        to.print("%02x", bytes[i]);
    }
    to.add("\n");
}
void make_uuid(uint8_t (&bytes)[16]) {
    fill_random(bytes, sizeof(bytes));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
}
Result<void> show_uuid(TextBuffer& to, const PseudoContext&) {
    uint8_t bytes[16];
    make_uuid(bytes);
    print_uuid(to, bytes);
    return {};
}
Result<void> show_boot_id(TextBuffer& to, const PseudoContext&) {
    static uint8_t boot_id[16];
    if (boot_id[6] == 0) make_uuid(boot_id);  // its version bits are never 0
    print_uuid(to, boot_id);
    return {};
}

Result<void> show_file_nr(TextBuffer& to, const PseudoContext&) {
    return show_line(to, "0\t0\t9223372036854775807");
}

constexpr PseudoEntry kRandom[] = {
    PseudoEntry::file("boot_id", show_boot_id),
    number<256>("entropy_avail"),
    number<256>("poolsize"),
    number<60>("urandom_min_reseed_secs"),
    PseudoEntry::file("uuid", show_uuid),
    number<256>("write_wakeup_threshold"),
};
constexpr PseudoEntry kKernel[] = {
    number<kLastCapability>("cap_last_cap"),
    PseudoEntry::file("core_pattern", show_core_pattern),
    number<0>("core_uses_pid"),
    number<0>("dmesg_restrict"),
    PseudoEntry::file("domainname", show_domainname),
    PseudoEntry::file("hostname", show_hostname, 0644, store_hostname),
    number<0>("kptr_restrict"),
    number<8192>("msgmax"),
    number<16384>("msgmnb"),
    number<32000>("msgmni"),
    number<kMaxGroups>("ngroups_max"),
    PseudoEntry::file("osrelease", show_osrelease),
    PseudoEntry::file("ostype", show_ostype),
    number<65534>("overflowgid"),
    number<65534>("overflowuid"),
    number<3>("perf_event_paranoid"),
    number<4194304>("pid_max"),
    PseudoEntry::file("printk", show_printk),
    PseudoEntry::directory("random", kRandom),
    number<2>("randomize_va_space"),
    number<1>("sched_autogroup_enabled"),
    PseudoEntry::file("sem", show_sem),
    PseudoEntry::file("shmall", show_shmmax),
    PseudoEntry::file("shmmax", show_shmmax),
    number<4096>("shmmni"),
    PseudoEntry::file("tainted", show_cad_tainted),
    number<4194304>("threads-max"),
    PseudoEntry::file("version", show_version),
};
constexpr PseudoEntry kVm[] = {
    PseudoEntry::file("drop_caches", nullptr, 0200, store_drop_caches),
    number<65530>("max_map_count"), number<65536>("mmap_min_addr"),
    number<28>("mmap_rnd_bits"),    number<0>("nr_hugepages"),
    number<0>("overcommit_memory"), number<50>("overcommit_ratio"),
    number<60>("swappiness"),
};
constexpr PseudoEntry kInotify[] = {
    number<16384>("max_queued_events"),
    number<128>("max_user_instances"),
    number<65536>("max_user_watches"),
};
constexpr PseudoEntry kMqueue[] = {
    number<PosixQueue::kDefaultMessages>("msg_default"),
    number<PosixQueue::kMaxMessages>("msg_max"),
    number<PosixQueue::kDefaultSize>("msgsize_default"),
    number<PosixQueue::kMaxSize>("msgsize_max"),
    number<PosixQueue::kMaxQueues>("queues_max"),
};
constexpr PseudoEntry kFs[] = {
    number<65536>("aio-max-nr"),
    number<0>("aio-nr"),
    number<INT64_MAX>("file-max"),
    PseudoEntry::file("file-nr", show_file_nr),
    PseudoEntry::directory("inotify", kInotify),
    PseudoEntry::directory("mqueue", kMqueue),
    number<1048576>("nr_open"),
    number<65534>("overflowgid"),
    number<65534>("overflowuid"),
    number<1048576>("pipe-max-size"),
    number<0>("pipe-user-pages-hard"),
    number<16384>("pipe-user-pages-soft"),
    number<0>("protected_fifos"),
    number<0>("protected_hardlinks"),
    number<0>("protected_regular"),
    number<0>("protected_symlinks"),
    number<0>("suid_dumpable"),
};
constexpr PseudoEntry kNetCore[] = {number<4096>("somaxconn"), number<212992>("rmem_max"),
                                    number<212992>("wmem_max")};
constexpr PseudoEntry kNetIpv4[] = {
    PseudoEntry::file("tcp_fastopen", net::show_tcp_fastopen, 0644, net::store_tcp_fastopen)};
constexpr PseudoEntry kNet[] = {PseudoEntry::directory("core", kNetCore),
                                PseudoEntry::directory("ipv4", kNetIpv4)};
constexpr PseudoEntry kSys[] = {
    PseudoEntry::directory("fs", kFs),
    PseudoEntry::directory("kernel", kKernel),
    PseudoEntry::directory("net", kNet),
    PseudoEntry::directory("vm", kVm),
};

}  // namespace

constinit const PseudoEntry kSysDirectory = PseudoEntry::directory("sys", kSys);

}  // namespace coracle
