#include "libposix/files/events/anonymous_file.h"

#include "kernel-min/lib/text_line.h"

namespace coracle {

Result<Path> make_event_path(std::string_view name) {
    static Inode* inode = nullptr;  // lives as long as the kernel
    if (!inode) inode = TRY(make_anonymous_inode(0600)).leak_ref();
    TextLine<64> text;
    text.put("anon_inode:").put(name);
    return make_anonymous_path(text.view(), RefPtr<Inode>(inode));
}

}  // namespace coracle
