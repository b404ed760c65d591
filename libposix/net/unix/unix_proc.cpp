// /proc/net/unix (man 5 proc).
#include "libposix/fs/pseudo/text_buffer.h"
#include "libposix/net/unix/unix_socket.h"

namespace coracle {

Result<void> write_unix_table(TextBuffer& to) {
    constexpr unsigned kAcceptsConnections = 0x10000;  // __SO_ACCEPTCON
    constexpr unsigned kUnconnected = 1, kConnected = 3;  // SS_*
    for (const UnixSocket& socket : unix_sockets()) {
        const UnixEndpoint& endpoint = socket.endpoint();
        bool is_connected = endpoint.state == UnixEndpoint::State::kConnected;
        to.print("%016x: %08X %08X %08X %04X %02X %5lu", 0u, endpoint.peer ? 3u : 2u, 0u,
                 socket.is_listening() ? kAcceptsConnections : 0,
                 static_cast<unsigned>(socket.type()), is_connected ? kConnected : kUnconnected,
                 socket.inode().number);
        if (endpoint.address) {
            to.add(" ");
            // Of an abstract name, every NUL is an @.
            for (char c : endpoint.address->name().text()) to.print("%c", c ? c : '@');
        }
        to.add("\n");
    }
    return to.status();
}

}  // namespace coracle
