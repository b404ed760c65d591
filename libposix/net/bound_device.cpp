#include "libposix/net/bound_device.h"

#include "libposix/net/interface.h"
#include "libposix/net/network.h"
#include "libposix/process/process.h"

namespace coracle::net {

namespace {

// 0: none.
Result<int> read_index(int option, UserIn<char> value, unsigned length) {
    if (option == kBindToInterfaceIndex) {
        int index = TRY(read_option(value, length));
        if (index < 0) return Error(EINVAL);
        if (index && !find_interface(static_cast<uint32_t>(index))) return Error(ENODEV);
        return index;
    }
    if (static_cast<int>(length) < 0) return Error(EINVAL);
    char name[IFNAMSIZ] = {};
    TRY(value.read_array(name, std::min<size_t>(length, IFNAMSIZ - 1)));
    if (!name[0]) return 0;
    const Interface* interface = find_interface(std::string_view(name));
    if (!interface) return Error(ENODEV);
    return static_cast<int>(interface->index());
}

}  // namespace

Result<void> set_bound_device(Socket& socket, int option, UserIn<char> value, unsigned length) {
    start_network();
    int index = TRY(read_index(option, value, length));
    bool may_change = current_credentials().has_capability(kCapNetRaw);
    if (socket.options.bound_device && !may_change) return Error(EPERM);
    socket.options.bound_device = index;
    return {};
}

Result<void> get_bound_device(const Socket& socket, int option, const OptionWriter& to) {
    int index = socket.options.bound_device;
    if (option == kBindToInterfaceIndex) return to.put_value(index);
    if (index == 0) return to.put_length(0);
    if (to.room() < IFNAMSIZ) return Error(EINVAL);
    char name[IFNAMSIZ] = {};
    std::string_view text = find_interface(static_cast<uint32_t>(index))->name();
    text.copy(name, IFNAMSIZ - 1);
    return to.put(name, text.size() + 1);
}

}  // namespace coracle::net
