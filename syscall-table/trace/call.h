// One system call on its way into a line: what the printers of its arguments may ask.
#pragma once

#include <cstddef>
#include <cstdint>

#include "syscall-table/trace/constants.h"
#include "syscall-table/trace/line.h"

namespace coracle::trace {

// How the trace reads the program's memory: through copies with fix-ups in the kernel, by
// process_vm_readv(2) or from a string in tests.
class MemoryReader {
  public:
    // Copies what is readable from the start of the range, and returns how many bytes that was.
    virtual size_t read(void* to, uint64_t from, size_t size) const = 0;

  protected:
    ~MemoryReader() = default;
};

struct Call {
    explicit Call(const MemoryReader& reader) : memory(reader) {}

    Line line;
    const MemoryReader& memory;
    unsigned number = 0;
    uint64_t arguments[6] = {};
    bool returned = false;
    long result = 0;
    int length_before = 0;  // what a socket address length was before the call

    bool failed() const { return returned && result < 0 && result >= -4095; }

    template <typename T>
    [[nodiscard]] bool read(T& to, uint64_t address) const {
        return address != 0 && memory.read(&to, address, sizeof(T)) == sizeof(T);
    }
};

constexpr size_t kMaxStringLength = 32;  // strace's -s
constexpr size_t kMaxArrayLength = 32;

// The descriptors that generate.py makes of types.tbl and syscalls.tbl.

// Prints an argument that travels by value.
using ValuePrinter = void (*)(Call&, uint64_t value, const ConstantTable*);
// Prints `count` elements at an address in the program's memory. Without brackets if `is_array`
// is false: there is one element.
using MemoryPrinter = void (*)(Call&, uint64_t address, uint64_t count, bool is_array,
                               const ConstantTable*);

struct TypeDescriptor {
    ValuePrinter value;  // null for types that are never passed by value
    MemoryPrinter memory;
    const ConstantTable* constants;
};

// When and how an argument is printed: kIn and kOut are addresses, read before and after the call.
// A printer of kLate is asked though the call failed.
enum class Direction : uint8_t { kValue, kLateValue, kIn, kOut, kLate, kHidden };
enum class CountKind : uint8_t { kOne, kFixed, kArgument, kArgumentPages, kResult };

struct ArgumentDescriptor {
    uint8_t type;  // index into kTypeDescriptors
    Direction direction;
    CountKind count_kind;
    uint8_t count;  // a number, or the index of the argument that holds it
};

struct CallDescriptor {
    const char* name;  // null: there is no such call
    uint8_t argument_count;
    uint8_t result_type;
    ArgumentDescriptor arguments[6];
};

extern const TypeDescriptor kTypeDescriptors[];
extern const CallDescriptor kCallDescriptors[512];

}  // namespace coracle::trace
