#include "tools/cli/run_options.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <charconv>
#include <fstream>

#include "tools/support/error.h"

namespace coracle {
namespace {

constexpr char kDefaultPath[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr int kDefaultGdbPort = 1234;

[[noreturn]] void reject(const std::string& message) {
    throw CommandError(kExitOwnFailure, message);
}

template <typename Number>
bool parse_number(std::string_view text, Number& value) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

std::string working_folder() {
    char folder[PATH_MAX];
    return getcwd(folder, sizeof(folder)) ? folder : "/";
}

void read_environment_file(const std::string& path, RunOptions& options) {
    std::ifstream file(path);
    if (!file) reject(fmt::format("--env-file {}: {}", path, strerror(errno)));
    for (std::string line; std::getline(file, line);) {
        line.erase(0, line.find_first_not_of(" \t"));
        if (line.empty() || line[0] == '#') continue;
        if (auto variable = parse_variable(line)) options.environment.push_back(*variable);
    }
}

NetworkSettings understand_network(const RunArguments& arguments) {
    NetworkSettings network;
    network.parse_kind(arguments.network);
    for (const std::string& text : arguments.ports) {
        network.ports.push_back(PublishedPort::parse(text));
    }
    if (!network.ports.empty() && network.kind != NetworkSettings::Kind::kUser) {
        reject("-p needs --net user: at a tap, the guest's ports can be reached as they are");
    }
    if (!arguments.mac.empty()) check_mac(arguments.mac);
    network.mac = arguments.mac.empty() ? random_mac() : arguments.mac;
    for (const std::string& text : arguments.addresses) check_interface_address(text);
    network.addresses = arguments.addresses;
    if (!arguments.gateway.empty()) check_address("--gateway", arguments.gateway);
    network.gateway = arguments.gateway;
    for (const std::string& text : arguments.name_servers) check_address("--dns", text);
    network.name_servers = arguments.name_servers;
    network.capture_file = arguments.capture_file;
    return network;
}

constexpr unsigned kMaxCpus = 64;  // The kernel's MAX_CPUS.

}  // namespace

void add_run_options(CLI::App& app, RunArguments& arguments) {
    app.prefix_command();
    auto add_list = [&app](const char* name, std::vector<std::string>& to, const char* help) {
        app.add_option(name, to, help)
            ->expected(1)
            ->allow_extra_args(false)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    };
    app.add_option("-m,--memory", arguments.memory,
                   "Memory: bytes, or with b, k, m or g (default: 256m beside the root image)");
    app.add_option("--cpus", arguments.cpus, "Virtual processors (default 1)")
        ->check(CLI::Range(1u, kMaxCpus));
    add_list("-e,--env", arguments.environment,
             "Environment: NAME=VALUE, or NAME for the host's value");
    add_list("--env-file", arguments.environment_files, "A file of -e lines");
    app.add_option("-w,--workdir", arguments.folder, "Working directory in the guest (default /)");
    add_list("-v,--volume", arguments.volumes,
             "HOST[:GUEST][:ro]: a folder or file of the host; it is copied when the VM "
             "starts, and changes stay in the VM");
    add_list("-p,--publish", arguments.ports,
             "[ADDRESS:]HOST:GUEST[/udp], or PORT[/udp]: a port of the host, of 127.0.0.1 unless "
             "ADDRESS is given, leads to the guest's");
    app.add_option("--net", arguments.network,
                   "user (default): the guest reaches out as this user does; tap=NAME: it is at a "
                   "tap interface of the host, with a pair of queues for each processor if it has "
                   "several (ip tuntap add ... multi_queue); none");
    add_list("--ip", arguments.addresses,
             "ADDRESS/PREFIX of the guest (default: what the user network gives, or DHCP)");
    app.add_option("--gateway", arguments.gateway, "The guest's router");
    app.add_option("--mac", arguments.mac, "The guest's Ethernet address (default: a random one)");
    add_list("--dns", arguments.name_servers, "A name server for /etc/resolv.conf");
    app.add_option("--pcap", arguments.capture_file, "Write the guest's packets to this file");
    app.add_flag("--stats", arguments.statistics, "Print the network's counters at the end");
    app.add_option("--rootfs", arguments.rootfs, "A folder to be the whole root file system");
    app.add_option("--hostname", arguments.hostname, "The guest's name (default coracle)");
    app.add_option("-u,--user", arguments.user, "UID[:GID] of the program (default 0:0)");
    app.add_option("--stop-timeout", arguments.stop_timeout,
                   "Seconds from SIGTERM until the VM is killed (default 10; -1: never)");
    app.add_flag("-i,--interactive", arguments.interactive,
                 "Accepted for Docker's sake: standard input is always the program's");
    app.add_flag("-t,--tty", arguments.terminal,
                 "Give the program a terminal even where there is none");
    app.add_flag("--rm", arguments.remove, "Accepted for Docker's sake: nothing is ever kept");
    app.add_flag("--trace{-}", arguments.trace,
                 "--trace[=FILE]: print system calls to standard error, or to FILE");
    app.add_option("--libc", arguments.libc,
                   "builtin: the kernel's libc image; own: the program's own loader and libc");
    app.add_option("--accel", arguments.accelerator, "auto (default), tcg or kvm");
    app.add_option("--machine", arguments.machine, "microvm (default) or q35");
    app.add_flag("--gdb{1234}", arguments.gdb,
                 "--gdb[=PORT]: wait for gdb at PORT of 127.0.0.1 (default 1234)");
    app.add_flag("--dry-run", arguments.dry_run,
                 "Show QEMU's command line and the root image's contents, and run nothing");
    app.add_flag("--verbose", arguments.verbose, "Say on standard error what happens, with times");
}

uint64_t parse_memory(const std::string& text) {
    constexpr std::string_view kUnits = "bkmgt";
    std::string_view digits = text;
    unsigned shift = 0;
    if (!digits.empty()) {
        size_t unit = kUnits.find(static_cast<char>(std::tolower(digits.back())));
        if (unit != std::string_view::npos) {
            shift = static_cast<unsigned>(10 * unit);
            digits.remove_suffix(1);
        }
    }
    uint64_t value;
    if (!parse_number(digits, value) || value << shift >> shift != value) {
        reject(fmt::format("-m {}: give a size such as 512m or 2g", text));
    }
    value <<= shift;
    if (value < 4 << 20) reject(fmt::format("-m {}: the least that can work is 4m", text));
    return value;
}

Volume parse_volume(const std::string& text, const std::string& working_folder) {
    std::vector<std::string> parts = CLI::detail::split(text, ':');
    Volume volume;
    if (parts.size() > 1 && (parts.back() == "ro" || parts.back() == "rw")) {
        volume.read_only = parts.back() == "ro";
        parts.pop_back();
    }
    if (parts.empty() || parts.size() > 2 || parts[0].empty()) {
        reject(fmt::format("-v {}: give HOST[:GUEST][:ro]", text));
    }
    const std::string& host = parts[0];
    volume.host = normal_path(host[0] == '/' ? host : working_folder + "/" + host);
    struct stat info;
    if (stat(volume.host.c_str(), &info) != 0) {
        reject(fmt::format("-v {}: {}: {}", text, volume.host, strerror(errno)));
    }
    char real[PATH_MAX];
    std::string guest = parts.size() == 2 ? parts[1] : volume.host;
    if (realpath(volume.host.c_str(), real)) volume.host = real;
    if (!guest.starts_with('/')) {
        reject(fmt::format("-v {}: the guest's path {} must start with /", text, guest));
    }
    volume.guest = normal_path(guest);
    if (volume.guest == "/") reject("-v: use --rootfs to replace the whole root");
    return volume;
}

void parse_user(const std::string& text, GuestIdentity& identity) {
    size_t colon = text.find(':');
    bool good = parse_number(std::string_view(text).substr(0, colon), identity.uid);
    if (good && colon != std::string::npos) {
        good = parse_number(std::string_view(text).substr(colon + 1), identity.gid);
    }
    if (!good) reject(fmt::format("-u {}: give numbers, UID[:GID]", text));
}

std::optional<std::pair<std::string, std::string>> parse_variable(const std::string& text) {
    size_t equals = text.find('=');
    std::string name = text.substr(0, equals);
    if (name.empty()) reject(fmt::format("-e {}: the name is missing", text));
    if (equals != std::string::npos) return std::pair(name, text.substr(equals + 1));
    const char* value = std::getenv(name.c_str());
    if (!value) return std::nullopt;
    return std::pair(name, std::string(value));
}

RunOptions understand(const RunArguments& arguments, const std::vector<std::string>& command) {
    RunOptions options;
    std::vector<std::string> words = command;
    if (!words.empty() && words[0] == "--") {
        words.erase(words.begin());
    } else if (!words.empty() && words[0].size() > 1 && words[0][0] == '-') {
        reject(fmt::format("{}: no such option; see coracle run --help", words[0]));
    }
    if (words.empty()) reject("name a program to run; see coracle run --help");
    options.program = words[0];
    options.arguments.assign(words.begin() + 1, words.end());

    if (!arguments.memory.empty()) options.memory_bytes = parse_memory(arguments.memory);
    options.cpus = arguments.cpus;
    for (const std::string& path : arguments.environment_files) {
        read_environment_file(path, options);
    }
    for (const std::string& text : arguments.environment) {
        if (auto variable = parse_variable(text)) options.environment.push_back(*variable);
    }
    options.folder = arguments.folder;
    if (!options.folder.starts_with('/')) {
        reject(fmt::format("-w {}: must start with /", options.folder));
    }
    for (const std::string& text : arguments.volumes) {
        options.volumes.push_back(parse_volume(text, working_folder()));
    }
    if (!arguments.rootfs.empty()) {
        char real[PATH_MAX];
        struct stat info;
        if (!realpath(arguments.rootfs.c_str(), real) || stat(real, &info) != 0) {
            reject(fmt::format("--rootfs {}: {}", arguments.rootfs, strerror(errno)));
        }
        if (!S_ISDIR(info.st_mode)) {
            reject(fmt::format("--rootfs {}: is not a folder", arguments.rootfs));
        }
        options.rootfs = real;
    }
    options.identity.hostname = arguments.hostname;
    if (options.identity.hostname.empty() || options.identity.hostname.size() > 64) {
        reject("--hostname: give 1 to 64 characters");
    }
    if (!arguments.user.empty()) parse_user(arguments.user, options.identity);
    options.stop_timeout = arguments.stop_timeout;
    options.terminal = arguments.terminal;
    options.trace = !arguments.trace.empty();
    if (arguments.trace != "-") options.trace_file = arguments.trace;

    if (arguments.libc != "own" && arguments.libc != "builtin") {
        reject(fmt::format("--libc={}: own or builtin", arguments.libc));
    }
    options.own_libc = arguments.libc == "own";
    if (arguments.accelerator == "tcg") {
        options.accelerator = AcceleratorChoice::kTcg;
    } else if (arguments.accelerator == "kvm") {
        options.accelerator = AcceleratorChoice::kKvm;
    } else if (arguments.accelerator != "auto") {
        reject(fmt::format("--accel={}: auto, tcg or kvm", arguments.accelerator));
    }
    if (arguments.machine == "q35") {
        options.machine = Machine::kQ35;
    } else if (arguments.machine != "microvm") {
        reject(fmt::format("--machine={}: microvm or q35", arguments.machine));
    }
    if (!arguments.gdb.empty()) {
        options.gdb_port = kDefaultGdbPort;
        if (!parse_number(arguments.gdb, options.gdb_port) || options.gdb_port < 1 ||
            options.gdb_port > 65535) {
            reject(fmt::format("--gdb={}: give a port", arguments.gdb));
        }
    }
    options.network = understand_network(arguments);
    options.identity.name_servers = options.network.name_servers;
    options.statistics = arguments.statistics;
    options.dry_run = arguments.dry_run;
    options.verbose = arguments.verbose;
    return options;
}

std::vector<std::pair<std::string, std::string>> guest_environment(const RunOptions& options) {
    std::vector<std::pair<std::string, std::string>> environment;
    auto set = [&environment](const std::string& name, const std::string& value, bool replace) {
        for (auto& [known, old] : environment) {
            if (known != name) continue;
            if (replace) old = value;
            return;
        }
        environment.emplace_back(name, value);
    };
    set("PATH", kDefaultPath, true);
    set("HOSTNAME", options.identity.hostname, true);
    if (options.terminal || (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))) {
        const char* terminal = std::getenv("TERM");
        set("TERM", terminal ? terminal : "xterm", true);
    }
    for (const auto& [name, value] : options.environment) set(name, value, true);
    set("HOME", options.identity.uid == 0 ? "/root" : "/home/user", false);
    return environment;
}

}  // namespace coracle
