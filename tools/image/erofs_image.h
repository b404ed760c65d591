// Makes an EROFS image from a manifest.
#pragma once

#include <string>

#include "tools/image/manifest.h"

namespace coracle {

// Writes the image to `output`, by way of a staged copy under `work_folder`, which must exist.
// Uncompressed, and file data in whole 4096-byte blocks, so that the guest maps it where it is.
// The same manifest gives the same bytes. Throws CommandError.
void make_erofs_image(const Manifest& manifest, const std::string& work_folder,
                      const std::string& output);

}  // namespace coracle
