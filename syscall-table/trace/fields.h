// Structures of two fields of the same type.
#pragma once

#include <string_view>

#include "syscall-table/trace/call.h"

namespace coracle::trace {

// The names come with the punctuation before and behind them: "{it_interval=", ", it_value=".
template <typename Value, typename Print>
void put_two(Call& call, std::string_view first_name, const Value& first,
             std::string_view second_name, const Value& second, Print print) {
    call.line.put(first_name);
    print(call, first);
    call.line.put(second_name);
    print(call, second);
}

}  // namespace coracle::trace
