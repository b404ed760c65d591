// The framed channel to the host program (kernel-min/abi/channel.h) over a virtio console, and its
// stand-in where there is none: the serial port, which carries the program's streams raw.
//
// Frames leave in the order of the calls. Receivers run in kernel context, from the interrupt's
// deferred handler; they may send but not sleep.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernel-min/abi/channel.h"
#include "kernel-min/devices/boot_config.h"

namespace coracle::host_channel {

// Starts the channel on the console device, if there is one; else the serial stand-in. False: it
// is the stand-in. Called once, after discover_devices().
bool start();
bool is_connected();

// Says hello and waits up to 10 s for the configuration. ETIMEDOUT; the errors of
// BootConfig::parse. Precondition: is_connected().
Result<BootConfig> wait_for_config();

// One piece of a payload after the other; `remaining` bytes of the frame are still to come. A
// payload of up to 64 bytes comes in one piece.
using Receiver = void (*)(std::span<const char> piece, uint32_t remaining);
void set_receiver(channel::FrameType type, Receiver receiver);

constexpr size_t kMaxSend = 32 * 1024;  // payload bytes of one call

// Sends one frame, copying the payload. Sleeps, not interruptibly, while the ring is full.
// kTrace frames may stay in the ring until the next other frame or for some milliseconds.
void send(channel::FrameType type, std::span<const char> payload);

// The same, with a payload that `fill` writes piece by piece: it puts up to `length` bytes at `to`
// and returns how many, fewer ending the frame. It may sleep (a page fault); other senders then
// wait. Returns the payload's length.
using Fill = size_t (*)(void* context, char* to, size_t length);
size_t send_filled(channel::FrameType type, size_t length, Fill fill, void* context);

// One of the VM's own lines, without prefix and newline. Works at any time, even in a panic or
// before start(): the serial port takes what the channel cannot.
void report_line(std::string_view text);

// Sends the wait status, and returns when the host has taken everything.
void send_exit(uint32_t wait_status);

// Takes what has come and sends what waits, without interrupts: for panic paths.
void poll();

}  // namespace coracle::host_channel
