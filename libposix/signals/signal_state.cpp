#include "libposix/signals/signal_state.h"

namespace coracle {

void SignalActions::reset_for_exec() {
    for (SignalAction& action : actions_) {
        const uint64_t handler = action.handler == kSigIgn ? kSigIgn : kSigDfl;
        action = SignalAction{};
        action.handler = handler;
    }
}

}  // namespace coracle
