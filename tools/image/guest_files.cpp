#include "tools/image/guest_files.h"

#include <fmt/format.h>

namespace coracle {

void add_base_folders(Manifest& manifest) {
    for (const char* path : {"/dev",           "/etc",           "/home",
                             "/mnt",           "/opt",           "/proc",
                             "/run",           "/srv",           "/sys",
                             "/usr",           "/usr/bin",       "/usr/sbin",
                             "/usr/lib",       "/usr/lib64",     "/usr/local",
                             "/usr/local/bin", "/usr/local/lib", "/usr/local/sbin",
                             "/usr/share",     "/var",           "/var/lib",
                             "/var/log",       "/var/cache",     "/var/spool"}) {
        manifest.add_made_directory(path);
    }
    manifest.add_made_directory("/root", 0700);
    manifest.add_made_directory("/tmp", 01777);
    manifest.add_made_directory("/var/tmp", 01777);
    for (const char* name : {"bin", "sbin", "lib", "lib64"}) {
        manifest.add_made_symlink(fmt::format("/{}", name), fmt::format("usr/{}", name));
    }
    manifest.add_made_symlink("/var/run", "/run");
    manifest.add_made_symlink("/var/lock", "/run/lock");
    manifest.add_made_directory("/run/lock", 01777);
}

void add_etc_files(Manifest& manifest, const Tree& host, const GuestIdentity& identity) {
    std::string passwd =
        "root:x:0:0:root:/root:/bin/sh\n"
        "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    std::string group = "root:x:0:\ndaemon:x:1:\ntty:x:5:\nstaff:x:50:\nnogroup:x:65534:\n";
    auto known = [](const std::string& table, uint32_t id) {
        return table.find(fmt::format(":x:{}:", id)) != std::string::npos;
    };
    if (!known(passwd, identity.uid)) {
        passwd += fmt::format("user:x:{}:{}:user:/home/user:/bin/sh\n", identity.uid, identity.gid);
        manifest.add_made_directory("/home/user");
    }
    if (!known(group, identity.gid)) group += fmt::format("user:x:{}:\n", identity.gid);
    manifest.add_made_file("/etc/passwd", passwd);
    manifest.add_made_file("/etc/group", group);
    manifest.add_made_file("/etc/nsswitch.conf",
                           "passwd: files\ngroup: files\nshadow: files\ngshadow: files\n"
                           "hosts: files dns\nnetworks: files\nprotocols: files\n"
                           "services: files\nethers: files\nrpc: files\n");
    manifest.add_made_file("/etc/hosts", fmt::format("127.0.0.1\tlocalhost\n127.0.1.1\t{}\n"
                                                     "::1\tlocalhost ip6-localhost\n",
                                                     identity.hostname));
    manifest.add_made_file("/etc/hostname", identity.hostname + "\n");
    manifest.add_made_file("/etc/host.conf", "multi on\n");
    std::string resolver;
    for (const std::string& address : identity.name_servers) {
        resolver += fmt::format("nameserver {}\n", address);
    }
    // The address at which QEMU's user network answers DNS queries.
    if (resolver.empty()) resolver = "nameserver 10.0.2.3\n";
    manifest.add_made_file("/etc/resolv.conf", resolver);
    manifest.add_made_symlink("/etc/mtab", "../proc/self/mounts");
    manifest.add(host, "/etc/os-release");
    manifest.add(host, "/etc/debian_version");
}

}  // namespace coracle
