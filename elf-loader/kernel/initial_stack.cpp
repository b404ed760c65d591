#include "elf-loader/kernel/initial_stack.h"

#include <cpuid.h>
#include <elf.h>

#include <cstring>

#include "kernel-min/abi/process_page.h"
#include "kernel-min/lib/random.h"
#include "kernel-min/lib/user_copy.h"
#include "kernel-min/memory/frames.h"

namespace coracle {

namespace {

constexpr uint64_t kAuxHwcap2 = 0;  // bit 1, FSGSBASE, stays off: GS belongs to the kernel
constexpr uint64_t kClockTicksPerSecond = 100;

// Grows downwards in application memory.
class StackWriter {
  public:
    explicit StackWriter(uint64_t top) : pointer_(top) {}
    uint64_t pointer() const { return pointer_; }
    void align(uint64_t alignment) { pointer_ &= ~(alignment - 1); }

    Result<uint64_t> push(const void* data, size_t size) {
        pointer_ -= size;
        if (!copy_to_user(pointer_, data, size)) return Error(EFAULT);
        return pointer_;
    }
    Result<uint64_t> push_string(const char* text) { return push(text, strlen(text) + 1); }

  private:
    uint64_t pointer_;
};

size_t string_bytes(std::span<const char* const> strings) {
    size_t bytes = 0;
    for (const char* text : strings) bytes += strlen(text) + 1;
    return bytes;
}

// The strings of one vector stand in ascending order, so that /proc/self/cmdline is one range.
Result<uint64_t> write_strings(uint64_t start, std::span<const char* const> strings) {
    for (const char* text : strings) {
        size_t size = strlen(text) + 1;
        if (!copy_to_user(start, text, size)) return Error(EFAULT);
        start += size;
    }
    return start;
}

// Pointers to the strings at `string`, and the null that ends them. Returns what comes behind.
Result<uint64_t> write_pointers(uint64_t at, uint64_t string,
                                std::span<const char* const> strings) {
    for (const char* text : strings) {
        if (!copy_to_user(at, &string, sizeof(string))) return Error(EFAULT);
        at += sizeof(string);
        string += strlen(text) + 1;
    }
    constexpr uint64_t kNull = 0;
    if (!copy_to_user(at, &kNull, sizeof(kNull))) return Error(EFAULT);
    return at + sizeof(kNull);
}

// What the kernel needs below a handler's frame: AT_MINSIGSTKSZ. Linux's fixed part and XSAVE's.
uint64_t minimum_signal_stack() {
    uint32_t a, b, c, d;
    __cpuid_count(13, 0, a, b, c, d);
    constexpr uint64_t kFrameWithoutXsave = 440 + 128 + 64 + 8;
    return (kFrameWithoutXsave + b + 15) & ~15ul;
}

uint64_t hardware_capabilities() {
    uint32_t a, b, c, d;
    __cpuid(1, a, b, c, d);
    return d;
}

}  // namespace

Result<InitialStack> build_initial_stack(uint64_t top, uint64_t limit,
                                         std::span<const char* const> arguments,
                                         std::span<const char* const> environment,
                                         const ProgramFacts& facts) {
    size_t argument_bytes = string_bytes(arguments), environment_bytes = string_bytes(environment);
    size_t pointer_bytes = (arguments.size() + environment.size() + 3) * sizeof(uint64_t);
    if (argument_bytes + environment_bytes + pointer_bytes > limit) return Error(E2BIG);

    InitialStack stack = {};
    StackWriter writer(top - sizeof(uint64_t));  // Linux leaves a null word at the very top
    uint64_t file_name = TRY(writer.push_string(facts.file_name));
    stack.environment_end = writer.pointer();
    stack.environment_start = stack.environment_end - environment_bytes;
    stack.arguments_end = stack.environment_start;
    stack.arguments_start = stack.arguments_end - argument_bytes;
    TRY(write_strings(stack.environment_start, environment));
    TRY(write_strings(stack.arguments_start, arguments));

    StackWriter lower(stack.arguments_start);
    uint64_t platform = TRY(lower.push_string("x86_64"));
    uint8_t random[16];
    fill_random(random, sizeof(random));
    lower.align(16);
    uint64_t random_bytes = TRY(lower.push(random, sizeof(random)));

    const Elf64_auxv_t auxv[] = {
        {AT_SYSINFO_EHDR, {facts.vdso}},
        {abi::kAuxCoracle, {facts.process_page}},
        {AT_MINSIGSTKSZ, {minimum_signal_stack()}},
        {AT_HWCAP, {hardware_capabilities()}},
        {AT_PAGESZ, {kPageSize}},
        {AT_CLKTCK, {kClockTicksPerSecond}},
        {AT_PHDR, {facts.program_headers}},
        {AT_PHENT, {sizeof(Elf64_Phdr)}},
        {AT_PHNUM, {facts.program_header_count}},
        {AT_BASE, {facts.interpreter_base}},
        {AT_FLAGS, {0}},
        {AT_ENTRY, {facts.entry}},
        {AT_UID, {facts.uid}},
        {AT_EUID, {facts.euid}},
        {AT_GID, {facts.gid}},
        {AT_EGID, {facts.egid}},
        {AT_SECURE, {0}},
        {AT_RANDOM, {random_bytes}},
        {AT_HWCAP2, {kAuxHwcap2}},
        {AT_EXECFN, {file_name}},
        {AT_PLATFORM, {platform}},
        {AT_NULL, {0}},
    };
    uint64_t vectors = pointer_bytes + sizeof(auxv);  // argc counted with the two nulls
    stack.stack_pointer = (lower.pointer() - vectors) & ~15ul;

    uint64_t argc = arguments.size();
    uint64_t at = stack.stack_pointer;
    if (!copy_to_user(at, &argc, sizeof(argc))) return Error(EFAULT);
    at = TRY(write_pointers(at + sizeof(argc), stack.arguments_start, arguments));
    at = TRY(write_pointers(at, stack.environment_start, environment));
    if (!copy_to_user(at, auxv, sizeof(auxv))) return Error(EFAULT);
    stack.auxv_start = at;
    stack.auxv_end = at + sizeof(auxv);
    return stack;
}

}  // namespace coracle
