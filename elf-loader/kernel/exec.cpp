#include "elf-loader/kernel/exec.h"

#include <fcntl.h>

#include <cstring>

#include "elf-loader/kernel/initial_stack.h"
#include "elf-loader/image_place.h"
#include "elf-loader/kernel/libc_image.h"
#include "elf-loader/kernel/program_mapping.h"
#include "kernel-min/core/gates.h"
#include "kernel-min/lib/random.h"
#include "libposix/files/file.h"
#include "libposix/fs/mount.h"
#include "libposix/fs/permission.h"
#include "libposix/process/vdso.h"

namespace coracle {

namespace {

// Linux's ELF_ET_DYN_BASE: where programs with an interpreter go, away from mmap's area.
constexpr uint64_t kProgramBase = kUserEnd / 3 * 2 & ~(kPageSize - 1);
// ASLR, in pages: Linux's 28 bits for the program, and up to 32 MiB for the heap.
constexpr uint64_t kRandomPages = 1u << 28, kRandomBreakPages = 1u << 13;

Result<size_t> read_file(void* file, void* to, size_t size, uint64_t offset) {
    IoBuffer buffer = IoBuffer::kernel(to, size);
    return static_cast<Inode*>(file)->read(buffer, offset);
}

struct OpenProgram {
    RefPtr<File> file;  // null for the libc image
    ElfImage image;
    RefPtr<MemoryObject> object;
};

Result<OpenProgram> open_program(std::string_view path) {
    RefPtr<File> file = TRY(open_path(path, O_RDONLY));
    if (!file->inode().is_regular()) return Error(EACCES);
    if (file->inode().write_count > 0) return Error(ETXTBSY);
    TRY(check_permission(file->inode(), kMayExecute, current_credentials()));
    ElfImage image = TRY(ElfImage::parse(read_file, &file->inode()));
    RefPtr<MemoryObject> object = TRY(file->memory_object());
    return OpenProgram{std::move(file), std::move(image), std::move(object)};
}

uint64_t random_offset(uint64_t pages) { return random_u64() % pages * kPageSize; }

// A process with a new address space, back to the old one unless the program is in place.
class AddressSpaceSwitch {
  public:
    AddressSpaceSwitch(Process& process, RefPtr<AddressSpace> next)
        : process_(process), previous_(process.address_space) {
        process_.address_space = std::move(next);
        process_.address_space->activate();
    }
    ~AddressSpaceSwitch() {
        if (!previous_ || committed_) return;
        process_.address_space = previous_;
        previous_->activate();
    }
    void commit() { committed_ = true; }

  private:
    Process& process_;
    RefPtr<AddressSpace> previous_;
    bool committed_ = false;
};

void remember(Process& process, const OpenProgram& program, const MappedImage& mapped,
              const InitialStack& stack, const ExecRequest& request) {
    process.executable = ExecutableFile(program.file->inode_ref());
    std::string_view path = request.path;
    size_t length = path.size();
    if (length >= sizeof(process.executable_path)) length = sizeof(process.executable_path) - 1;
    memcpy(process.executable_path, path.data(), length);
    process.executable_path[length] = '\0';
    size_t slash = path.rfind('/');
    std::string_view name = path.substr(slash == path.npos ? 0 : slash + 1);
    memset(process.name, 0, sizeof(process.name));
    memcpy(process.name, name.data(), name.size() < 15 ? name.size() : 15);
    process.arguments_start = stack.arguments_start;
    process.arguments_end = stack.arguments_end;
    process.environment_start = stack.environment_start;
    process.environment_end = stack.environment_end;
    process.auxv_start = stack.auxv_start;
    process.auxv_end = stack.auxv_end;
    process.start_code = mapped.code_start;
    process.end_code = mapped.code_end;
    process.start_data = mapped.data_start;
    process.end_data = mapped.data_end;
    process.start_stack = stack.stack_pointer;
}

TrapFrame initial_registers(uint64_t entry, uint64_t stack_pointer) {
    TrapFrame frame = {};
    frame.vector = kTrapInterrupt;  // not a call: nothing restarts
    frame.error_code = ~0ul;
    frame.rip = entry;
    frame.rsp = stack_pointer;
    frame.cs = kUserCodeSelector;
    frame.ss = kUserDataSelector;
    frame.rflags = 0x202;
    return frame;
}

// The vector registers, MXCSR and the x87 unit as the ABI wants them at a program's start.
void reset_vector_state() {
    alignas(64) static uint8_t area[8192];  // all zero: XSTATE_BV says "initial state"
    asm volatile("fninit");
    area[24] = 0x80;  // MXCSR 0x1f80
    area[25] = 0x1f;
    asm volatile("xrstor64 %0" ::"m"(area), "a"(~0u), "d"(~0u));
}

}  // namespace

Result<void> execute(Process& process, const ExecRequest& request, TrapFrame& frame) {
    OpenProgram program = TRY(open_program(request.path));
    const char* interpreter_path = program.image.interpreter();
    bool builtin = interpreter_path && request.libc == LibcChoice::kBuiltin &&
                   is_libc_image_interpreter(interpreter_path);
    OpenProgram interpreter;
    if (builtin) {
        interpreter.image = TRY(parse_libc_image());
        interpreter.object = libc_image_object();
    } else if (interpreter_path) {
        interpreter = TRY(open_program(interpreter_path));
    }

    AddressSpaceSwitch address_space_switch(process, TRY(AddressSpace::create(process.limits)));
    AddressSpace& address_space = *process.address_space;
    // A static PIE is its own interpreter and goes where libraries go, as on Linux.
    uint64_t hint = interpreter_path ? kProgramBase + random_offset(kRandomPages) : 0;
    MappedImage mapped = TRY(map_image(address_space, program.image, program.object, hint));
    uint64_t entry = program.image.entry() + mapped.bias;
    uint64_t start = entry, interpreter_base = 0;
    if (interpreter_path) {
        uint64_t loader_hint = builtin ? image::preferred_place(entry) : 0;
        MappedImage loader =
            TRY(map_image(address_space, interpreter.image, interpreter.object, loader_hint));
        interpreter_base = loader.bias;
        start = interpreter.image.entry() + loader.bias;
    }
    address_space.set_break(mapped.break_start + random_offset(kRandomBreakPages));

    bool executable_stack = program.image.has_executable_stack();
    uint64_t stack_top = TRY(address_space.map_stack(executable_stack));
    ProcessPages pages = TRY(map_process_pages(address_space));
    process.page = pages.page;
    process.vdso_syscall = pages.vdso_syscall;
    const Credentials& credentials = process.credentials;
    ProgramFacts facts = {
        .program_headers = program.image.program_headers_address()
                               ? program.image.program_headers_address() + mapped.bias
                               : 0,
        .program_header_count = program.image.program_header_count(),
        .interpreter_base = interpreter_base,
        .entry = entry,
        .process_page = pages.vvar,
        .vdso = pages.vdso,
        .uid = credentials.uid,
        .euid = credentials.euid,
        .gid = credentials.gid,
        .egid = credentials.egid,
        .file_name = request.file_name,
    };
    // Linux lets arguments and environment take a quarter of the stack's limit.
    uint64_t limit = process.limits.soft(Resource::kStack) / 4;
    InitialStack stack =
        TRY(build_initial_stack(stack_top, limit, request.arguments, request.environment, facts));

    address_space_switch.commit();
    remember(process, program, mapped, stack, request);
    update_process_page(process);
    reset_vector_state();
    frame = initial_registers(start, stack.stack_pointer);
    return {};
}

}  // namespace coracle
