// What the machine is called (man 2 uname).
#pragma once

#include <sys/utsname.h>

namespace coracle {

const struct utsname& system_name();

// Cut to 64 bytes. Called at boot.
void set_host_name(const char* name);

}  // namespace coracle
