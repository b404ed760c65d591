// The stand-in for the host channel: COM1, a 16550 behind gates. Output goes out raw, input comes
// by interrupt.
#pragma once

#include <span>

#include "kernel-min/devices/host_channel.h"

namespace coracle::serial_console {

// Bytes that come in go to `input`, as pieces of an endless frame.
void start(host_channel::Receiver input);
void write(std::span<const char> text);

}  // namespace coracle::serial_console
