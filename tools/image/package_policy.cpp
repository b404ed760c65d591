#include "tools/image/package_policy.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace coracle {
namespace {

constexpr std::array<std::string_view, 38> kLeftOutPackages = {
    // Stood in for by the libc image and the files made for the guest.
    "libc6",
    "libc-bin",
    "base-files",
    "base-passwd",
    "libc-l10n",
    "locales",
    "locales-all",
    "ca-certificates",
    "netbase",
    // Maintainer scripts' tools.
    "dpkg",
    "debconf",
    "cdebconf",
    "debconf-2.0",
    "ucf",
    "install-info",
    "man-db",
    "adduser",
    "passwd",
    "login",
    "init-system-helpers",
    "sensible-utils",
    "menu",
    "apt",
    "apt-utils",
    "lsb-base",
    "lsb-release",
    "sysvinit-utils",
    "sysv-rc",
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "cron",
    "logrotate",
    // Drivers of graphics hardware, which the guest has not.
    "libgl1-mesa-dri",
    "mesa-va-drivers",
    "mesa-vdpau-drivers",
    "intel-media-va-driver",
};

constexpr std::array<std::string_view, 27> kLeftOutFolders = {
    "/usr/share/doc/",
    "/usr/share/man/",
    "/usr/share/info/",
    "/usr/share/lintian/",
    "/usr/share/bug/",
    "/usr/share/doc-base/",
    "/usr/share/menu/",
    "/usr/share/applications/",
    "/usr/share/metainfo/",
    "/usr/share/bash-completion/",
    "/usr/share/zsh/",
    "/usr/share/fish/",
    "/usr/share/gdb/",
    "/usr/share/apport/",
    "/usr/lib/debug/",
    "/usr/lib/systemd/",
    "/lib/systemd/",
    "/usr/lib/tmpfiles.d/",
    "/usr/lib/sysusers.d/",
    "/etc/init.d/",
    "/etc/cron.",
    "/etc/logrotate.d/",
    "/etc/bash_completion.d/",
    "/etc/apt/",
    "/etc/default/",
    "/var/cache/",
    "/var/lib/dpkg/",
};

constexpr std::array<std::string_view, 4> kCommandFolders = {"/bin/", "/sbin/", "/usr/bin/",
                                                             "/usr/sbin/"};

constexpr std::array<std::string_view, 8> kSecrets = {
    "/etc/shadow",  "/etc/gshadow",          "/etc/ssh/", "/etc/ssl/private/",
    "/etc/sudoers", "/etc/security/opasswd", "/root/",    "/home/",
};

template <typename Prefixes>
bool starts_with_any(const std::string& path, const Prefixes& prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(),
                       [&path](std::string_view prefix) { return path.starts_with(prefix); });
}

}  // namespace

bool is_left_out(const Package& package) {
    return std::find(kLeftOutPackages.begin(), kLeftOutPackages.end(), package.name) !=
           kLeftOutPackages.end();
}

bool is_wanted_file(const std::string& path, bool essential, bool translations) {
    std::string folder = path + "/";  // So that a left-out folder itself matches.
    if (starts_with_any(folder, kLeftOutFolders) || is_secret(folder)) return false;
    if (!translations && folder.starts_with("/usr/share/locale/")) return false;
    return !essential || !starts_with_any(path, kCommandFolders);
}

bool is_secret(const std::string& path) {
    return starts_with_any(path, kSecrets);
}

}  // namespace coracle
