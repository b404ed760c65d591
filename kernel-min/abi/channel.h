// The channel between the kernel and the host program that started the VM: one virtio-console
// port that carries frames in both directions. A stream per descriptor would need a port each and
// would lose the order between standard output and error; one framed stream keeps both.
//
// Constants and structures only: the host program includes this file too.
#pragma once

#include <cstdint>

namespace coracle::channel {

constexpr uint32_t kVersion = 1;

enum class FrameType : uint8_t {
    // Host to guest.
    kConfig = 1,        // Config strings (see below); the answer to kHello.
    kStdinData = 2,     // Bytes for descriptor 0; never more than the credit granted.
    kStdinEnd = 3,      // No payload: end of file on standard input.
    kSignal = 4,        // uint32_t Linux signal number, for the first process.
    kWindowSize = 5,    // WindowSize of the terminal.
    kStreamClosed = 6,  // uint32_t descriptor (1 or 2) whose reader has gone: writes give EPIPE.
    kOutputCredit = 7,  // OutputCredit: so many more bytes of that descriptor may be sent.
    // Guest to host.
    kHello = 16,        // uint32_t kVersion; the kernel is up and asks for its configuration.
    kStdoutData = 17,   // Bytes written to descriptor 1.
    kStderrData = 18,   // Bytes written to descriptor 2.
    kTrace = 19,        // Whole lines of the system-call trace.
    kMessage = 20,      // Whole lines of the VM's own words, without a prefix.
    kStdinCredit = 21,  // uint32_t: so many more bytes of standard input may be sent.
    kExit = 22,         // uint32_t wait status of the program, as wait(2) encodes it.
    kTerminalMode = 23,  // uint32_t: unused bits zero; reserved for a raw/cooked hint.
};

// Every frame starts with this header, little-endian. `length` counts the payload's bytes.
struct FrameHeader {
    FrameType type;
    uint8_t reserved[3];
    uint32_t length;
};
static_assert(sizeof(FrameHeader) == 8);

constexpr uint32_t kMaxPayload = 64 * 1024;  // kConfig alone may be longer, up to kMaxConfig.
constexpr uint32_t kMaxConfig = 4 * 1024 * 1024;

// Standard output and error each start with this much credit; every byte of a kStdoutData or
// kStderrData frame uses one up. kOutputCredit gives it back when bytes have left the host program,
// in portions of up to a quarter of the whole. A writer without credit sleeps (EAGAIN, or no
// POLLOUT), so a reader that is slow on one stream never holds up the other, or standard input,
// which share the channel.
constexpr uint32_t kInitialOutputCredit = 256 * 1024;

struct OutputCredit {
    uint32_t descriptor;  // 1 or 2
    uint32_t bytes;
};

struct WindowSize {
    uint16_t rows, columns, x_pixels, y_pixels;
};

// kConfig is a sequence of NUL-terminated strings "key=value". Keys:
//   program=PATH    the file to execute, an absolute guest path
//   arg=STRING      argv, in order, argv[0] first
//   env=K=V         the environment, in order
//   cwd=PATH        working directory (default /)
//   clock=NS        wall-clock time at the moment the frame was sent, ns since 1970
//   tty=FD          descriptor 0, 1 or 2 is a terminal; once for each. All of them are the same
//                   terminal; echo goes to the first of 1, 2 that is listed.
//   cooked=1        the host's terminal already edits lines, echoes and maps newlines (standard
//                   input or output is redirected, so the host could not make it raw): the
//                   guest's line discipline passes bytes through
//   rows=N columns=N xpixels=N ypixels=N
//                   the terminal's size at the start (default 24 rows, 80 columns)
//   hostname=NAME
//   libc=own        run with the program's own loader and libc
//   trace=1         send kTrace frames
//   verbose=1       send kMessage frames about the boot
//   ip=ADDRESS/PREFIX  of the first network card, of either family; several times
//   gateway=ADDRESS  the default route
//   dhcp=1          ask for an address
//   stats=1         send the network's counters as kMessage frames at the end
//   uid=N gid=N     identity of the first process (default 0)
//   ro=PATH         writes below this path give EROFS
//
// Without a channel (plain serial console) the same keys are words of the kernel command line,
// with '%', space and control bytes percent-encoded.

}  // namespace coracle::channel
