// Which packages, and which of a package's files, have no use in a guest.
#pragma once

#include <string>

#include "tools/image/packages.h"

namespace coracle {

// Packages that only maintain a Debian system, or that something else in the image stands in for.
// They are not taken because another package depends on them, nor is what only they need.
bool is_left_out(const Package& package);

// Whether a file that a package owns belongs in an image. `essential`: it is of an Essential
// package, a collection of unrelated commands of which only the named one is taken.
// `translations`: keep message catalogues.
bool is_wanted_file(const std::string& path, bool essential, bool translations);

// Never to be copied from a host's /etc or /var, whoever owns it and whatever its mode.
bool is_secret(const std::string& path);

}  // namespace coracle
