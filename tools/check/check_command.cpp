#include "tools/cli/commands.h"
#include "tools/support/error.h"
namespace coracle {
int check_command(const CheckOptions&) {
    throw CommandError(kExitOwnFailure, "check: not built yet");
}
}  // namespace coracle
