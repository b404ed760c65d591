// What load says to a server, and what it expects to hear.
#pragma once

#include <stddef.h>

enum { kMaxRequest = 2048, kMaxAnswer = 4096 };

struct Protocol {
    const char* name;
    int is_datagram;
    // The protocol that puts there what this one asks for, or NULL.
    const char* preparation;
    // Writes request `number`, of at most kMaxRequest bytes; returns its length.
    size_t (*request)(char* to, long number);
    // The length of the answer at the beginning of `data`, 0 if it is not complete, or -1 if it is
    // not what was expected. `data` ends with a NUL that is not counted.
    long (*answer)(const char* data, size_t size);
};

// Requests answered before the preparation is complete.
enum { kKeys = 100 };

// NULL if there is none.
const struct Protocol* find_protocol(const char* name);
