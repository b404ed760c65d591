// Signals and si_codes by name, as strsignal-like tools print them.
#pragma once

#include <string_view>

#include "libposix/signals/signal_abi.h"

namespace coracle {

// "SIGSEGV"; empty for real-time signals.
std::string_view signal_name(int signo);
// "SEGV_MAPERR"; empty where the code has no name.
std::string_view signal_code_name(int signo, int code);

}  // namespace coracle
