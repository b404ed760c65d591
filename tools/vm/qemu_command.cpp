#include "tools/vm/qemu_command.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

namespace coracle {

std::string qemu_program() {
    const char* chosen = std::getenv("CORACLE_QEMU");
    return chosen && *chosen ? chosen : "qemu-system-x86_64";
}

std::vector<std::string> qemu_command(const VmSettings& settings) {
    bool microvm = settings.machine == Machine::kMicrovm;
    std::vector<std::string> args = {qemu_program()};
    auto add = [&args](std::initializer_list<std::string> words) {
        args.insert(args.end(), words);
    };
    // Without the option ROMs and ACPI tables, microvm's firmware has nothing to do but to load
    // the kernel: 18 ms from QEMU's start to the kernel instead of 57. The PIT stays, for
    // calibration; the wall clock comes over the channel, so there is no RTC.
    add({"-M", microvm ? "microvm,x-option-roms=off,acpi=off,pic=off,rtc=off,pit=on" : "q35"});
    // SeaBIOS looks for what no machine here has, which takes it 7 to 25 s under a KVM that is
    // itself emulated, and a second with TCG; qboot only starts the kernel.
    if (!microvm) add({"-bios", "qboot.rom"});
    add({"-accel", settings.accelerator == Accelerator::kKvm ? "kvm" : "tcg"});
    add({"-cpu", "max", "-smp", std::to_string(settings.cpus)});
    add({"-m", fmt::format("{}k", settings.memory_bytes / 1024)});
    add({"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
    add({"-kernel", settings.kernel});
    if (!settings.root_image.empty()) add({"-initrd", settings.root_image});
    if (!settings.append.empty()) add({"-append", settings.append});
    add({"-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"});
    // COM1 is the kernel's emergency console, the virtio console the channel. It is a
    // virtserialport, because QEMU drops what a virtconsole cannot write at once.
    add({"-chardev", fmt::format("socket,id=s0,fd={}", kSerialFd), "-serial", "chardev:s0"});
    add({"-chardev", fmt::format("socket,id=c0,fd={}", kChannelFd)});
    if (microvm) {
        add({"-global", "virtio-mmio.force-legacy=false"});
        add({"-device", "virtio-serial-device,max_ports=2"});
    } else {
        add({"-device", "virtio-serial-pci,disable-legacy=on,max_ports=2"});
    }
    add({"-device", "virtserialport,chardev=c0"});
    for (std::string& word : settings.network.qemu_arguments(microvm)) {
        args.push_back(std::move(word));
    }
    if (settings.gdb_port != 0) {
        add({"-gdb", fmt::format("tcp:127.0.0.1:{}", settings.gdb_port), "-S"});
    }
    if (const char* extra = std::getenv("CORACLE_QEMU_ARGS")) {
        std::istringstream words(extra);
        for (std::string word; words >> word;) args.push_back(word);
    }
    return args;
}

std::string shell_quote(const std::vector<std::string>& words) {
    static constexpr std::string_view kPlain =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./=:,+@%";
    std::string line;
    for (const std::string& word : words) {
        if (!line.empty()) line += ' ';
        if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) {
            line += word;
            continue;
        }
        line += '\'';
        for (char c : word) {
            if (c == '\'') {
                line += "'\\''";
            } else {
                line += c;
            }
        }
        line += '\'';
    }
    return line;
}

}  // namespace coracle
