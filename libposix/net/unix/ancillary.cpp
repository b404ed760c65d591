#include "libposix/net/unix/ancillary.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>

#include "libposix/process/process.h"

namespace coracle {
namespace {

UnixCredentials own_credentials() {
    const Process& process = *current_process();
    return {process.pid, current_credentials().uid, current_credentials().gid};
}

bool is_one_of(uint32_t id, uint32_t real, uint32_t effective, uint32_t saved) {
    return id == real || id == effective || id == saved;
}

// Only who may have another identity may claim it.
Result<UnixCredentials> read_credentials(std::span<const char> data) {
    UnixCredentials given;
    if (data.size() != sizeof(given)) return Error(EINVAL);
    memcpy(&given, data.data(), sizeof(given));
    const Credentials& own = current_credentials();
    const bool is_own_pid = given.pid == current_process()->pid || own.has_capability(kCapSysAdmin);
    const bool is_own_uid =
        is_one_of(given.uid, own.uid, own.euid, own.suid) || own.has_capability(kCapSetuid);
    const bool is_own_gid =
        is_one_of(given.gid, own.gid, own.egid, own.sgid) || own.has_capability(kCapSetgid);
    if (!is_own_pid || !is_own_uid || !is_own_gid) return Error(EPERM);
    return given;
}

Result<void> add_rights(UnixRightsPtr& rights, std::span<const char> data) {
    const size_t count = data.size() / sizeof(int);
    if (count == 0) return {};
    if (!rights) rights = TRY(make_rights(UnixRights::kMaxFiles));
    if (rights->count + count > UnixRights::kMaxFiles) return Error(EINVAL);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, data.data() + i * sizeof(fd), sizeof(fd));
        RefPtr<File> file = TRY(current_process()->descriptors->get(fd));
        rights->files[rights->count++] = file.leak_ref();
    }
    return {};
}

}  // namespace

Result<UnixAncillary> UnixAncillary::read(const SendMessage& message) {
    UnixAncillary found;
    found.credentials = own_credentials();
    if (!message.control) return found;
    Result<void> read =
        message.control->for_each([&](const ControlMessages::Message& control) -> Result<void> {
            if (control.level != SOL_SOCKET) return {};
            switch (control.type) {
                case SCM_RIGHTS:
                    return add_rights(found.rights, control.data);
                case SCM_CREDENTIALS:
                    found.credentials = TRY(read_credentials(control.data));
                    found.has_explicit_credentials = true;
                    return {};
                default:
                    return Error(EINVAL);
            }
        });
    if (!read.ok()) return read.error();
    return found;
}

void UnixAncillary::choose_credentials(bool wanted) {
    if (!wanted && !has_explicit_credentials) credentials = UnixCredentials{};
}

void UnixReceived::deliver_rights(ControlWriter& to, bool close_on_exec) {
    const uint64_t address = to.data_address();
    const size_t room = address != 0 ? (to.room() - CMSG_LEN(0)) / sizeof(int) : 0;
    size_t done = 0;
    DescriptorTable& table = *current_process()->descriptors;
    for (; done < std::min(room, rights_->count); done++) {
        Result<long> fd =
            install_descriptor(RefPtr<File>(rights_->files[done]), close_on_exec ? O_CLOEXEC : 0);
        if (!fd.ok()) break;
        const int number = static_cast<int>(*fd);
        if (!copy_to_user(address + done * sizeof(int), &number, sizeof(number))) {
            (void)table.remove(number);
            break;
        }
    }
    if (done < rights_->count) to.mark_truncated();
    if (done != 0) (void)to.finish(SOL_SOCKET, SCM_RIGHTS, done * sizeof(int));
}

void UnixReceived::deliver(ReceiveMessage& to, bool sees_credentials) {
    if (!to.control) return;
    if (!to.control->is_wanted()) {
        if (sees_credentials || rights_) to.control->mark_truncated();
        return;
    }
    if (sees_credentials) {
        to.put_control(SOL_SOCKET, SCM_CREDENTIALS, &credentials_, sizeof(credentials_));
    }
    if (rights_) deliver_rights(*to.control, to.flags & MSG_CMSG_CLOEXEC);
}

}  // namespace coracle
