// Functions that the string macros of <bits/string2.h> called, for one to three constant
// characters, until glibc 2.25.
#include <string.h>

#define EXPORTED extern "C" __attribute__((visibility("default")))

namespace {

template <typename... Characters>
size_t span_until(const char* text, Characters... stop) {
    size_t length = 0;
    while (text[length] != '\0' && ((text[length] != stop) && ...)) ++length;
    return length;
}

template <typename... Characters>
size_t span_of(const char* text, Characters... accepted) {
    size_t length = 0;
    while (text[length] != '\0' && ((text[length] == accepted) || ...)) ++length;
    return length;
}

template <typename... Characters>
char* find_first(const char* text, Characters... wanted) {
    const size_t length = span_until(text, static_cast<char>(wanted)...);
    return text[length] == '\0' ? nullptr : const_cast<char*>(text + length);
}

template <typename... Characters>
char* split(char** text, Characters... delimiters) {
    char* token = *text;
    if (token == nullptr) return nullptr;
    char* end = find_first(token, delimiters...);
    if (end != nullptr) *end++ = '\0';
    *text = end;
    return token;
}

}  // namespace

EXPORTED size_t __strcspn_c1(const char* s, int a) {
    return span_until(s, a);
}
EXPORTED size_t __strcspn_c2(const char* s, int a, int b) {
    return span_until(s, a, b);
}
EXPORTED size_t __strcspn_c3(const char* s, int a, int b, int c) {
    return span_until(s, a, b, c);
}
EXPORTED size_t __strspn_c1(const char* s, int a) {
    return span_of(s, a);
}
EXPORTED size_t __strspn_c2(const char* s, int a, int b) {
    return span_of(s, a, b);
}
EXPORTED size_t __strspn_c3(const char* s, int a, int b, int c) {
    return span_of(s, a, b, c);
}
EXPORTED char* __strpbrk_c2(const char* s, int a, int b) {
    return find_first(s, a, b);
}
EXPORTED char* __strpbrk_c3(const char* s, int a, int b, int c) {
    return find_first(s, a, b, c);
}
EXPORTED char* __strsep_1c(char** s, char a) {
    return split(s, a);
}
EXPORTED char* __strsep_2c(char** s, char a, char b) {
    return split(s, a, b);
}
EXPORTED char* __strsep_3c(char** s, char a, char b, char c) {
    return split(s, a, b, c);
}

EXPORTED char* __strtok_r_1c(char* text, char delimiter, char** next) {
    if (text == nullptr) text = *next;
    while (*text == delimiter) ++text;
    if (*text == '\0') return nullptr;
    *next = text;
    char* token = text;
    split(next, delimiter);
    if (*next == nullptr) *next = token + strlen(token);
    return token;
}
