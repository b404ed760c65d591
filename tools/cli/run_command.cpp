#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "tools/cli/commands.h"
#include "tools/image/elf_file.h"
#include "tools/image/image_cache.h"
#include "tools/support/build_files.h"
#include "tools/support/error.h"
#include "tools/support/say.h"
#include "tools/vm/accelerator.h"
#include "tools/vm/relay.h"

namespace coracle {
namespace {

constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kDefaultMemory = 256 * kMiB;
constexpr uint64_t kMemoryStep = 16 * kMiB;

std::string find_kernel() {
    const char* chosen = std::getenv("CORACLE_KERNEL");
    std::string path = chosen && *chosen ? chosen : build_file("kernel-min/coracle-kernel.elf");
    if (access(path.c_str(), R_OK) != 0) {
        throw CommandError(kExitOwnFailure,
                           fmt::format("the kernel {} is not there; build it, or set "
                                       "CORACLE_KERNEL",
                                       path));
    }
    return path;
}

uint64_t memory_for(const RunOptions& options, const std::string& kernel, uint64_t image_bytes) {
    if (options.memory_bytes == 0) {
        return kDefaultMemory + (image_bytes + kMemoryStep - 1) / kMemoryStep * kMemoryStep;
    }
    // The kernel tells if there is no room beside these two.
    std::optional<ElfFile> file = ElfFile::read(kernel);
    uint64_t taken = image_bytes + (file ? file->load_end : 0);
    if (options.memory_bytes < taken) {
        throw CommandError(
            kExitOwnFailure,
            fmt::format("-m {}k is too little: the kernel and the root image take {} MiB; give a "
                        "larger -m",
                        options.memory_bytes / 1024, taken / kMiB + 1));
    }
    return options.memory_bytes;
}

Accelerator choose_accelerator(const RunOptions& options, const VmSettings& settings,
                               const std::string& cache_folder) {
    switch (options.accelerator) {
        case AcceleratorChoice::kTcg:
            return Accelerator::kTcg;
        case AcceleratorChoice::kKvm:
            return Accelerator::kKvm;
        case AcceleratorChoice::kAuto:
            break;
    }
    bool kvm = kvm_may_work({}) && kvm_boots(settings, cache_folder);
    return kvm ? Accelerator::kKvm : Accelerator::kTcg;
}

std::string make_config(const RunOptions& options, const RootRequest& request, bool own_libc,
                        const TerminalPlan& terminal) {
    std::string config;
    auto add = [&config](std::string_view key, std::string_view value) {
        config.append(key).append("=").append(value).push_back('\0');
    };
    add("program", request.program.path);
    for (const std::string& argument : request.program.arguments) add("arg", argument);
    for (const std::string& argument : options.arguments) add("arg", argument);
    for (const auto& [name, value] : guest_environment(options)) add("env", name + "=" + value);
    add("cwd", options.folder);
    add("hostname", options.identity.hostname);
    add("uid", std::to_string(options.identity.uid));
    add("gid", std::to_string(options.identity.gid));
    for (int fd = 0; fd < 3; ++fd) {
        if (terminal.tty[fd]) add("tty", std::to_string(fd));
    }
    if (terminal.cooked) add("cooked", "1");
    if (own_libc) add("libc", "own");
    if (options.trace) add("trace", "1");
    if (options.verbose) add("verbose", "1");
    if (options.statistics) add("stats", "1");
    for (const auto& [key, value] : options.network.boot_configuration()) add(key, value);
    for (const Volume& volume : options.volumes) {
        if (volume.read_only) add("ro", volume.guest);
    }
    if (config.size() > channel::kMaxConfig - 64) {
        throw CommandError(kExitOwnFailure, "the arguments and environment are too long");
    }
    return config;
}

void print_dry_run(const VmSettings& settings, const RootRequest& request) {
    RootPlan plan = plan_root(request);
    fmt::print("{}\n", shell_quote(qemu_command(settings)));
    fmt::print("root image: {} entries, {} KiB\n", plan.manifest.entries().size(),
               plan.manifest.total_bytes() / 1024);
    if (!plan.packages.empty()) fmt::print("packages: {}\n", fmt::join(plan.packages, " "));
    for (const auto& [path, entry] : plan.manifest.entries()) {
        switch (entry.type) {
            case Entry::Type::kDirectory:
                fmt::print("d {:04o} {}/\n", entry.mode, path);
                break;
            case Entry::Type::kSymlink:
                fmt::print("l {} -> {}\n", path, entry.content);
                break;
            case Entry::Type::kFile:
                fmt::print("f {:04o} {} {}\n", entry.mode, path, entry.size);
                break;
        }
    }
}

RootRequest make_request(const RunOptions& options) {
    RootRequest request;
    for (const auto& [name, value] : guest_environment(options)) request.environment[name] = value;
    char folder[PATH_MAX];
    std::string here = options.rootfs.empty() && getcwd(folder, sizeof(folder)) ? folder : "/";
    // What is typed is looked for on the host; in a --rootfs, as the guest would.
    const char* host_path = std::getenv("PATH");
    std::string search_path =
        options.rootfs.empty() && host_path ? host_path : request.environment["PATH"];
    request.program = find_program(Tree(options.rootfs), options.program, here, search_path);
    request.rootfs = options.rootfs;
    request.volumes = options.volumes;
    request.own_libc = options.own_libc;
    request.identity = options.identity;
    return request;
}

}  // namespace

int run_command(const RunOptions& options) {
    set_verbose(options.verbose);
    VmSettings settings;
    RootRequest request = make_request(options);
    say_verbose("the program is {}", request.program.path);
    settings.kernel = find_kernel();
    ImageCache cache;
    RootImage image = cache.obtain(request);
    settings.root_image = image.path;
    settings.memory_bytes = memory_for(options, settings.kernel, image.size);
    settings.cpus = options.cpus;
    settings.machine = options.machine;
    settings.gdb_port = options.gdb_port;
    settings.accelerator = choose_accelerator(options, settings, cache.folder());
    settings.network = options.network;
    settings.network.choose_queues(options.cpus);
    if (options.dry_run) {
        print_dry_run(settings, request);
        return 0;
    }

    settings.network.check_host();

    RelaySettings relay_settings;
    relay_settings.terminal = plan_terminal(options.terminal);
    relay_settings.config = make_config(options, request, image.own_libc, relay_settings.terminal);
    relay_settings.trace_file = options.trace_file;
    relay_settings.stop_timeout = std::chrono::seconds(options.stop_timeout);
    if (options.accelerator == AcceleratorChoice::kKvm) {
        relay_settings.boot_limit = std::chrono::seconds(60);
    }
    if (options.gdb_port != 0) {
        relay_settings.boot_limit = std::chrono::seconds(0);
        say("waiting for a debugger; type: gdb -ex 'target remote 127.0.0.1:{}' {}",
            options.gdb_port, settings.kernel);
    }
    block_relayed_signals();
    std::vector<std::string> command = qemu_command(settings);
    say_verbose("{}", shell_quote(command));
    VirtualMachine vm(command);
    say_verbose("QEMU was started");
    return Relay(vm, std::move(relay_settings)).run();
}

}  // namespace coracle
