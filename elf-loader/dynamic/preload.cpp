#include "elf-loader/dynamic/preload.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "elf-loader/dynamic/glibc_loader.h"

namespace coracle::loader {
namespace {

constexpr size_t kMaximumName = 4096;
constexpr const char* kPreloadFile = "/etc/ld.so.preload";

struct Request {
    const char* name;
    LinkMap* main_map;
    LinkMap* result;
};

void map_object(void* argument) {
    auto* request = static_cast<Request*>(argument);
    request->result =
        _dl_map_object(request->main_map, request->name, static_cast<int>(MapType::kLibrary), 0,
                       kModeSecure, kBaseNamespace);
}

void load_one(const char* name, const char* source, LinkMap& main_map, PreloadList& list) {
    Request request = {name, &main_map, nullptr};
    const unsigned loaded_before = _dl_ns[0].count;
    const char* object = nullptr;
    const char* message = nullptr;
    bool allocated = false;
    _dl_catch_error(&object, &message, &allocated, map_object, &request);
    if (message != nullptr) {
        _dl_error_printf("ERROR: ld.so: object '%s' from %s cannot be preloaded (%s): ignored.\n",
                         name, source, message);
        return;
    }
    if (_dl_ns[0].count == loaded_before) return;
    if (list.count == PreloadList::kMaximum)
        _dl_fatal_printf("%s: more than %u preloaded libraries\n", _dl_argv[0],
                         PreloadList::kMaximum);
    list.maps[list.count++] = request.result;
}

// Names in a set-user-ID program must be plain: they are searched in trusted directories.
bool is_allowed(const char* name) {
    return name[0] != '\0' && (!__libc_enable_secure || strchr(name, '/') == nullptr);
}

void load_names(const char* names, const char* separators, const char* source, LinkMap& main_map,
                PreloadList& list) {
    char name[kMaximumName];
    while (*names != '\0') {
        const size_t length = strcspn(names, separators);
        if (length < sizeof(name)) {
            memcpy(name, names, length);
            name[length] = '\0';
            if (is_allowed(name)) load_one(name, source, main_map, list);
        }
        names += length;
        if (*names != '\0') ++names;
    }
}

// Comments reach from # to the end of the line.
void load_file(LinkMap& main_map, PreloadList& list) {
    if (access(kPreloadFile, R_OK) != 0) return;
    const int file = open(kPreloadFile, O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    char text[kMaximumName];
    const ssize_t size = read(file, text, sizeof(text) - 1);
    close(file);
    if (size <= 0) return;
    text[size] = '\0';
    for (char* c = text; *c != '\0'; ++c)
        if (*c == '#')
            for (; *c != '\0' && *c != '\n'; ++c) *c = ' ';
    load_names(text, ": \t\n", kPreloadFile, main_map, list);
}

}  // namespace

void load_preloads(const Environment& environment, LinkMap& main_map, PreloadList& list) {
    if (environment.preload != nullptr)
        load_names(environment.preload, " :", "LD_PRELOAD", main_map, list);
    load_file(main_map, list);
}

}  // namespace coracle::loader
