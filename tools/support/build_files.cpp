#include "tools/support/build_files.h"

#include <limits.h>
#include <unistd.h>

#include <string_view>

namespace coracle {

std::string build_file(const std::string& name) {
    char path[PATH_MAX];
    ssize_t size = readlink("/proc/self/exe", path, sizeof(path));
    std::string_view program(path, size > 0 ? static_cast<size_t>(size) : 0);
    // BUILD/tools/coracle -> BUILD
    for (int i = 0; i < 2; ++i) program = program.substr(0, program.rfind('/'));
    return std::string(program) + "/" + name;
}

}  // namespace coracle
