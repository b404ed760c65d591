// The options of `coracle run`, spelled as Docker spells them.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tools/image/root_plan.h"
#include "tools/vm/qemu_command.h"

namespace CLI {
class App;
}

namespace coracle {

enum class AcceleratorChoice { kAuto, kTcg, kKvm };

struct RunOptions {
    std::string program;
    std::vector<std::string> arguments;                            // Without the program's name.
    uint64_t memory_bytes = 0;                                     // 0: as the image needs.
    unsigned cpus = 1;
    std::vector<std::pair<std::string, std::string>> environment;  // In order, as given.
    std::string folder = "/";
    std::vector<Volume> volumes;
    std::string rootfs;
    GuestIdentity identity;
    int stop_timeout = 10;  // Seconds; negative: none.
    bool terminal = false;
    bool trace = false;
    std::string trace_file;
    bool own_libc = false;
    AcceleratorChoice accelerator = AcceleratorChoice::kAuto;
    Machine machine = Machine::kMicrovm;
    int gdb_port = 0;
    NetworkSettings network;
    bool statistics = false;
    bool dry_run = false;
    bool verbose = false;
};

// The texts of the options, before they are understood.
struct RunArguments {
    std::string memory, folder = "/", rootfs, hostname = "coracle", user, trace, libc = "builtin";
    std::string accelerator = "auto", machine = "microvm", gdb;
    std::string network = "user", mac, gateway, capture_file;
    int stop_timeout = 10;
    unsigned cpus = 1;
    std::vector<std::string> environment, environment_files, volumes;
    std::vector<std::string> ports, addresses, name_servers;
    bool interactive = false, terminal = false, remove = false, dry_run = false, verbose = false;
    bool statistics = false;
};

// Declares the options at `app`; the words from PROGRAM on are left as its remaining ones.
void add_run_options(CLI::App& app, RunArguments& arguments);

// Throws CommandError (125) for what makes no sense.
RunOptions understand(const RunArguments& arguments, const std::vector<std::string>& command);

// "512m", "1g", "65536k", "1048576b" or bytes without a letter.
uint64_t parse_memory(const std::string& text);
// HOST[:GUEST][:ro|:rw]
Volume parse_volume(const std::string& text, const std::string& working_folder);
// UID[:GID]
void parse_user(const std::string& text, GuestIdentity& identity);
// NAME=VALUE, or NAME for the host's value; nothing when the host has none.
std::optional<std::pair<std::string, std::string>> parse_variable(const std::string& text);

// The program's whole environment, as Docker makes it: PATH, HOSTNAME, TERM for a terminal, what
// was given, and HOME. A name given twice has its last value, at its first place.
std::vector<std::pair<std::string, std::string>> guest_environment(const RunOptions& options);

}  // namespace coracle
