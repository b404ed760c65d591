// The folders and small files of a root image that are made rather than copied.
#pragma once

#include <string>
#include <vector>

#include "tools/image/manifest.h"

namespace coracle {

struct GuestIdentity {
    std::string hostname = "coracle";
    uint32_t uid = 0, gid = 0;
    std::vector<std::string> name_servers;  // Empty: the user network's.
};

// Debian's usual folders, with /bin and its like as links into /usr.
void add_base_folders(Manifest& manifest);

// passwd, group, nsswitch.conf, hosts, resolv.conf and their like. Nothing in them is from the host
// but os-release.
void add_etc_files(Manifest& manifest, const Tree& host, const GuestIdentity& identity);

}  // namespace coracle
