// The kernel comes up above kernel-min, from memory to the first program's first instruction.
#include <fcntl.h>

#include <cstring>

#include "elf-loader/kernel/exec.h"
#include "kernel-min/boot/boot_info.h"
#include "kernel-min/core/gates.h"
#include "kernel-min/devices/clock_source.h"
#include "kernel-min/devices/host_channel.h"
#include "kernel-min/devices/virtio/bus.h"
#include "kernel-min/lib/panic.h"
#include "kernel-min/lib/random.h"
#include "kernel-min/memory/frames.h"
#include "kernel-min/memory/heap.h"
#include "kernel-min/memory/kernel_map.h"
#include "kernel-min/sched/kernel_lock.h"
#include "kernel-min/sched/secondary_cpus.h"
#include "libposix/files/terminal/standard_streams.h"
#include "libposix/fs/mount.h"
#include "libposix/ipc/ipc.h"
#include "libposix/net/socket.h"
#include "libposix/net/inet/inet_family.h"
#include "libposix/net/network.h"
#include "libposix/process/identity.h"
#include "libposix/process/process.h"
#include "libposix/process/threads.h"
#include "libposix/time/clock.h"
#include "syscall-table/dispatch.h"
#include "syscall-table/trace/kernel_trace.h"

extern "C" [[noreturn]] void call_on_stack(uint64_t stack, void (*function)());
extern "C" [[noreturn]] void enter_application(coracle::TrapFrame* frame);

namespace coracle {

namespace {

BootConfig configuration;

// Takes the devices' queues and buffers and the first process up, whatever the program.
constexpr size_t kLeastFrames = 64;

[[noreturn]] void give_up(const char* what) {
    host_channel::report_line(what);
    exit_process(125 << 8);
}

// What a shell answers when execve(2) fails (POSIX XCU 2.8.2).
[[noreturn]] void refuse_program(int error) {
    // What execve(2) copies is the kernel's own here: memory ended, which has been reported.
    if (error == EFAULT) exit_process(kSigKill);
    const char* reason = error == ENOENT    ? "not in the root image"
                         : error == EACCES  ? "permission denied"
                         : error == ENOEXEC ? "not a Linux program for x86-64"
                         : error == ENOMEM  ? "not enough memory: give a larger -m"
                                            : "cannot be executed";
    char line[256];
    size_t length = strnlen(configuration.program, sizeof(line) - 64);
    memcpy(line, configuration.program, length);
    memcpy(line + length, ": ", 2);
    memcpy(line + length + 2, reason, strlen(reason) + 1);
    host_channel::report_line(line);
    exit_process((error == ENOENT || error == ENOTDIR ? 127 : 126) << 8);
}

Result<void> set_up_first_process() {
    Thread& thread = *current_thread();
    thread.process = new (std::nothrow) Process;
    thread.state = new (std::nothrow) ThreadState;
    if (!thread.process || !thread.state) return Error(ENOMEM);
    Process& process = *thread.process;
    TRY(thread.vector_state.allocate());
    thread.started_ticks = read_tsc();  // what came before is nobody's CPU time
    add_thread(process, thread);
    process.credentials = Credentials::for_identity(configuration.uid, configuration.gid);
    process.signal_actions = TRY(make_ref<SignalActions>());
    process.descriptors = TRY(make_ref<DescriptorTable>());
    process.file_system = TRY(make_ref<FileSystemContext>(root_path(), root_path()));
    return {};
}

Result<void> enter_working_directory(Process& process) {
    RefPtr<File> directory = TRY(open_path(configuration.working_directory, O_PATH | O_DIRECTORY));
    process.file_system->cwd = directory->path();
    return {};
}

// Runs on the first thread's kernel stack.
[[noreturn]] void run_program() {
    Process& process = *current_process();
    TrapFrame frame = {};
    auto executed = execute(process,
                            {.path = configuration.program,
                             .file_name = configuration.program,
                             .arguments = configuration.arguments,
                             .environment = configuration.environment,
                             .libc = configuration.own_libc ? LibcChoice::kOwn
                                                            : LibcChoice::kBuiltin},
                            frame);
    if (!executed) refuse_program(executed.error_code());
    if (cpu_count > 1) unlock_kernel();
    enter_application(&frame);
}

Result<BootConfig> read_configuration() {
    if (host_channel::is_connected()) return host_channel::wait_for_config();
    return BootConfig::parse_command_line(boot_info.command_line);
}

}  // namespace

[[noreturn]] void kernel_main() {
    init_memory(boot_info);
    if (frame_statistics().free < kLeastFrames) {
        refuse_machine("not enough memory: give a larger -m");
    }
    init_clock_source();
    virtio::discover_devices(boot_info.command_line);
    host_channel::start();

    register_unix_sockets();

    auto configured = read_configuration();
    if (!configured) give_up("no usable configuration: name a program with program=PATH");
    configuration = configured.release_value();
    set_realtime(configuration.clock_ns ? configuration.clock_ns : read_machine_wall_clock());
    if (configuration.trace) enable_tracing();

    if (!mount_root(boot_info.module.start, boot_info.module.end - boot_info.module.start)) {
        give_up("the root image cannot be used: it is damaged, or no EROFS image");
    }
    for (const char* path : configuration.read_only_paths) {
        if (!mount_read_only(path)) give_up("a read-only path is not in the root image");
    }
    if (!set_up_first_process() || !open_standard_streams(*current_process(), configuration)) {
        give_up("not enough memory: give a larger -m");
    }
    if (configuration.hostname) set_host_name(configuration.hostname);
    if (!enter_working_directory(*current_process())) give_up("the working directory is not there");

    start_secondary_cpus();
    net::register_inet_families();
    if (!net::configure_network(configuration)) {
        give_up("not enough memory: give a larger -m");
    }
    open_entries(cpu_count > 1);

    auto stack = allocate_kernel_stack();
    if (!stack) give_up("not enough memory: give a larger -m");
    Thread& thread = *current_thread();
    thread.kernel_stack_top = stack.value();
    current_cpu()->kernel_stack_top = thread.kernel_stack_top;
    call_on_stack(thread.kernel_stack_top, run_program);
}

void exit_process(uint32_t wait_status) {
    trace_exit(static_cast<int>(wait_status));
    if (Process* process = current_process()) end_ipc_of(*process);
    net::drain_network();
    if (configuration.statistics) net::report_network_statistics();
    host_channel::send_exit(wait_status);
    // isa-debug-exit has room for 7 bits: 128 + signal does not fit, the channel's frame does.
    bool killed = (wait_status & 0x7f) != 0;
    core::power_off(static_cast<uint8_t>(killed ? 128 + (wait_status & 0x7f) : wait_status >> 8));
}

}  // namespace coracle
