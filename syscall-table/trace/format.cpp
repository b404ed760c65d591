#include "syscall-table/trace/format.h"

#include <asm/unistd_64.h>
#include <sched.h>

#include "syscall-table/trace/omissions.h"
#include "syscall-table/trace/printers.h"

namespace coracle::trace {

namespace {

constexpr size_t kResultColumn = 40;  // strace's -a

// clone(2), whose arguments strace prints by name and in an order of its own.
void put_clone(Call& call) {
    const uint64_t flags = call.arguments[0];
    Line& line = call.line;
    const auto pointer = [&](std::string_view name, uint64_t address) {
        line.put(name);
        line.put_pointer(address);
    };
    pointer("child_stack=", call.arguments[1]);
    line.put(", flags=");
    print_clone_flags(call, static_cast<int64_t>(flags));
    if (flags & (CLONE_PARENT_SETTID | CLONE_PIDFD)) {
        line.put(", parent_tid=");
        int tid = 0;
        if (call.failed() || !call.read(tid, call.arguments[2])) {
            line.put_pointer(call.arguments[2]);
        } else {
            line.put('[');
            line.put_decimal(tid);
            line.put(']');
        }
    }
    if (flags & CLONE_SETTLS) pointer(", tls=", call.arguments[4]);
    if (flags & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID)) {
        pointer(", child_tidptr=", call.arguments[3]);
    }
}

}  // namespace

bool never_returns(unsigned number) {
    return number == __NR_exit || number == __NR_exit_group;
}

void CallFormatter::enter(unsigned number, const uint64_t (&arguments)[6]) {
    call_.number = number;
    for (unsigned i = 0; i < 6; ++i) call_.arguments[i] = arguments[i];
    static constexpr CallDescriptor kUnknown = {};
    const bool known = number < 512 && kCallDescriptors[number].name;
    descriptor_ = known ? &kCallDescriptors[number] : &kUnknown;
    if (!known) {
        call_.line.put("syscall_");
        call_.line.put_hex(number);
        call_.line.put('(');
        for (unsigned i = 0; i < 6; ++i) {
            if (i != 0) call_.line.put(", ");
            call_.line.put_hex(arguments[i]);
        }
        return;
    }
    call_.line.put(descriptor_->name);
    call_.line.put('(');
    if (number == __NR_clone) return;
    shown_ = shown_arguments(call_, descriptor_->argument_count);
    for (unsigned i = 0; i < descriptor_->argument_count; ++i) {
        const TypeDescriptor& type = kTypeDescriptors[descriptor_->arguments[i].type];
        if (type.memory == array<print_length_in_out>) {
            (void)call_.read(call_.length_before, arguments[i]);
        }
    }
    print_arguments();
}

// Prints on until an argument that is to be read after the call; tells whether all are printed.
bool CallFormatter::print_arguments() {
    for (; next_ < descriptor_->argument_count; ++next_) {
        const Direction direction = descriptor_->arguments[next_].direction;
        if (direction == Direction::kHidden || !(shown_ >> next_ & 1)) continue;
        const bool late = direction == Direction::kOut || direction == Direction::kLate ||
                          direction == Direction::kLateValue;
        if (late && !call_.returned) return false;
        if (!first_) call_.line.put(", ");
        first_ = false;
        print_argument(next_);
    }
    return true;
}

void CallFormatter::print_argument(unsigned index) {
    const ArgumentDescriptor& argument = descriptor_->arguments[index];
    const TypeDescriptor& type = kTypeDescriptors[argument.type];
    const uint64_t raw = call_.arguments[index];
    if (argument.direction == Direction::kValue || argument.direction == Direction::kLateValue) {
        type.value(call_, raw, type.constants);
    } else if (raw == 0 || (argument.direction == Direction::kOut && call_.failed())) {
        call_.line.put_pointer(raw);
    } else {
        const bool is_array = argument.count_kind != CountKind::kOne;
        type.memory(call_, raw, element_count(index), is_array, type.constants);
    }
}

uint64_t CallFormatter::element_count(unsigned index) const {
    const ArgumentDescriptor& argument = descriptor_->arguments[index];
    constexpr uint64_t kPageSize = 4096;
    switch (argument.count_kind) {
        case CountKind::kOne:
            return 1;
        case CountKind::kFixed:
            return argument.count;
        case CountKind::kResult:
            return static_cast<uint64_t>(call_.result);
        case CountKind::kArgumentPages:
            return (call_.arguments[argument.count] + kPageSize - 1) / kPageSize;
        case CountKind::kArgument:
            break;
    }
    const uint64_t raw = call_.arguments[argument.count];
    if (descriptor_->arguments[argument.count].direction == Direction::kValue) return raw;
    uint32_t length = 0;  // a socket address length, behind a pointer
    return call_.read(length, raw) ? length : 0;
}

void CallFormatter::finish_arguments() {
    if (call_.number == __NR_clone) {
        put_clone(call_);
    } else {
        print_arguments();
    }
    call_.line.open_reserve();
    call_.line.put(") ");
    call_.line.pad_to(kResultColumn);
    call_.line.put("= ");
}

void CallFormatter::leave(long result) {
    call_.result = result;
    call_.returned = true;
    finish_arguments();
    print_result();
    call_.line.end();
}

void CallFormatter::print_result() {
    if (!call_.failed()) {
        const TypeDescriptor& type = kTypeDescriptors[descriptor_->result_type];
        if (descriptor_->name && type.value) {
            type.value(call_, static_cast<uint64_t>(call_.result), type.constants);
        } else {
            call_.line.put_decimal(call_.result);
        }
        return;
    }
    const int code = static_cast<int>(-call_.result);
    const ErrorName* error = find_error(code);
    constexpr int kFirstRestart = 512;
    call_.line.put(error && code >= kFirstRestart ? "? " : "-1 ");
    if (error) {
        call_.line.put(error->name);
        call_.line.put(" (");
        call_.line.put(error->text);
        call_.line.put(')');
    } else {
        call_.line.put("(errno ");
        call_.line.put_decimal(code);
        call_.line.put(')');
    }
}

void CallFormatter::leave_for_ever() {
    call_.returned = true;
    finish_arguments();
    call_.line.put('?');
    call_.line.end();
}

void format_signal(Line& line, const SignalInfo& info) {
    line.put("--- ");
    put_signal(line, info.signo);
    line.put(' ');
    put_siginfo(line, info);
    line.put(" ---");
    line.end();
}

void format_exit(Line& line, int wait_status) {
    const int signo = wait_status & 0x7f;
    constexpr int kCoreDumped = 0x80;
    if (signo == 0) {
        line.put("+++ exited with ");
        line.put_decimal(wait_status >> 8 & 0xff);
    } else {
        line.put("+++ killed by ");
        put_signal(line, signo);
        if (wait_status & kCoreDumped) line.put(" (core dumped)");
    }
    line.put(" +++");
    line.end();
}

}  // namespace coracle::trace
