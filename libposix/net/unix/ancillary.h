// Control messages of AF_UNIX: SCM_RIGHTS and SCM_CREDENTIALS, in and out.
#pragma once

#include "libposix/net/socket_message.h"
#include "libposix/net/unix/message_queue.h"

namespace coracle {

// What a sendmsg(2) carries beside its data.
struct UnixAncillary {
    UnixCredentials credentials;
    bool has_explicit_credentials = false;
    UnixRightsPtr rights;  // null: none

    // EINVAL, EBADF, EPERM (not one's own credentials), ESRCH, ENOMEM.
    static Result<UnixAncillary> read(const SendMessage& message);
    // Credentials travel if they were given, or if either side asks for them.
    void choose_credentials(bool wanted);
};

// What a recvmsg(2) found.
class UnixReceived {
  public:
    // Whether data of this message may go on behind what was received before: no change of
    // credentials that the reader sees.
    bool may_continue(const UnixMessage& message, bool sees_credentials) const {
        return !started_ || !sees_credentials || message.credentials == credentials_;
    }
    void start(const UnixMessage& message) {
        if (!started_) credentials_ = message.credentials;
        started_ = true;
    }
    bool has_started() const { return started_; }
    void take_rights(UnixRightsPtr rights) { rights_ = std::move(rights); }
    bool has_rights() const { return static_cast<bool>(rights_); }

    // Writes SCM_CREDENTIALS (if SO_PASSCRED is on) and SCM_RIGHTS, whose files get descriptors.
    void deliver(ReceiveMessage& to, bool sees_credentials);

  private:
    void deliver_rights(ControlWriter& to, bool close_on_exec);

    bool started_ = false;
    UnixCredentials credentials_;
    UnixRightsPtr rights_;
};

}  // namespace coracle
