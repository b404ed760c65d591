#include "tools/vm/accelerator.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "tools/support/error.h"
#include "tools/support/say.h"
#include "tools/support/unique_fd.h"
#include "tools/vm/start_limit.h"

namespace coracle {
namespace {

constexpr std::chrono::milliseconds kProbeLimit{3000};

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

// What an earlier answer depends on.
std::string circumstances(const VmSettings& settings) {
    struct stat kernel {};
    stat(settings.kernel.c_str(), &kernel);
    return fmt::format("{} {} {}.{} {} {}", first_line("/proc/sys/kernel/random/boot_id"),
                       settings.kernel, kernel.st_mtim.tv_sec, kernel.st_mtim.tv_nsec,
                       qemu_program(), settings.machine == Machine::kMicrovm ? "microvm" : "q35");
}

bool probe(const VmSettings& settings) {
    try {
        VirtualMachine vm(qemu_command(settings));
        pollfd events[] = {{vm.channel_fd(), POLLIN, 0}, {vm.process_fd(), POLLIN, 0}};
        const StartLimit limit(vm, kProbeLimit);
        while (poll(events, 2, limit.timeout_ms()) <= 0) {
            if (limit.is_over()) return false;
        }
        char byte;
        return read(vm.channel_fd(), &byte, 1) == 1;
    } catch (const CommandError&) {
        return false;
    }
}

}  // namespace

bool kvm_may_work(const AcceleratorFacts& facts) {
    UniqueFd device(open(facts.kvm_device.c_str(), O_RDWR | O_CLOEXEC));
    if (!device.valid()) return false;
    std::ifstream cpu_info(facts.cpu_info);
    for (std::string line; std::getline(cpu_info, line);) {
        if (!line.starts_with("flags")) continue;
        std::istringstream flags(line);
        for (std::string flag; flags >> flag;) {
            if (flag == "vmx" || flag == "svm") return true;
        }
        return false;
    }
    return false;
}

bool kvm_boots(VmSettings settings, const std::string& cache_folder) {
    std::string path = cache_folder + "/kvm-probe";
    std::string now = circumstances(settings);
    std::string known = first_line(path);
    if (known == "yes " + now) return true;
    if (known == "no " + now) return false;
    settings.accelerator = Accelerator::kKvm;
    settings.root_image.clear();
    bool works = probe(settings);
    say_verbose("probed KVM: {}", works ? "it works" : "it does not work");
    std::string fresh = fmt::format("{}.{}", path, getpid());
    std::ofstream(fresh) << (works ? "yes " : "no ") << now << "\n";
    rename(fresh.c_str(), path.c_str());
    return works;
}

}  // namespace coracle
