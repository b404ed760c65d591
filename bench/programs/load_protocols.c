// Redis, memcached's text protocol, HTTP and echo. Values are 100 bytes, of one of 100 keys.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

#define VALUE_10 "0123456789"
#define VALUE \
    VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10 VALUE_10

// For answers that are the same each time.
static long expect(const char* data, size_t size, const char* expected) {
    const size_t length = strlen(expected);
    if (memcmp(data, expected, size < length ? size : length) != 0) return -1;
    return size < length ? 0 : (long)length;
}

static size_t redis_get(char* to, long number) {
    return sprintf(to, "*2\r\n$3\r\nGET\r\n$5\r\nkey%02ld\r\n", number % kKeys);
}

static long redis_value(const char* data, size_t size) {
    return expect(data, size, "$100\r\n" VALUE "\r\n");
}

static size_t redis_set(char* to, long number) {
    return sprintf(to, "*3\r\n$3\r\nSET\r\n$5\r\nkey%02ld\r\n$100\r\n" VALUE "\r\n",
                   number % kKeys);
}

static long redis_ok(const char* data, size_t size) {
    return expect(data, size, "+OK\r\n");
}

static size_t memcached_get(char* to, long number) {
    return sprintf(to, "get key%02ld\r\n", number % kKeys);
}

static long memcached_value(const char* data, size_t size) {
    static const char kEnd[] = " 0 100\r\n" VALUE "\r\nEND\r\n";
    enum { kKey = sizeof("VALUE key00") - 1 };
    if (expect(data, size, "VALUE key") < 0) return -1;
    if (size <= kKey) return 0;
    const long length = expect(data + kKey, size - kKey, kEnd);
    return length > 0 ? length + kKey : length;
}

static size_t memcached_set(char* to, long number) {
    return sprintf(to, "set key%02ld 0 0 100\r\n" VALUE "\r\n", number % kKeys);
}

static long memcached_stored(const char* data, size_t size) {
    return expect(data, size, "STORED\r\n");
}

static size_t http_get(char* to, long number) {
    (void)number;
    return sprintf(to, "GET /small.html HTTP/1.1\r\nHost: bench\r\n\r\n");
}

static size_t http_get_close(char* to, long number) {
    (void)number;
    return sprintf(to, "GET /small.html HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
}

// small.html is 1024 times 'x'.
static long http_page(const char* data, size_t size) {
    enum { kSize = 1024 };
    const char* end = strstr(data, "\r\n\r\n");
    if (!end) return 0;
    const char* length = strstr(data, "Content-Length: ");
    if (expect(data, size, "HTTP/1.1 200 ") < 0 || !length || length > end) return -1;
    if (atol(length + strlen("Content-Length: ")) != kSize) return -1;
    const char* body = end + 4;
    const size_t there = size - (body - data);
    const size_t right = strspn(body, "x");
    if (right < there && right < kSize) return -1;
    return there < kSize ? 0 : body + kSize - data;
}

static size_t echo_byte(char* to, long number) {
    *to = 'a' + number % 26;
    return 1;
}

static long echoed_byte(const char* data, size_t size) {
    return size == 0 ? 0 : *data >= 'a' && *data <= 'z' ? 1 : -1;
}

static const struct Protocol kProtocols[] = {
    {"redis-get", 0, "redis-set", redis_get, redis_value},
    {"redis-set", 0, NULL, redis_set, redis_ok},
    {"memcached-get", 0, "memcached-set", memcached_get, memcached_value},
    {"memcached-set", 0, NULL, memcached_set, memcached_stored},
    {"http", 0, NULL, http_get, http_page},
    {"http-close", 0, NULL, http_get_close, http_page},
    {"echo", 0, NULL, echo_byte, echoed_byte},
    {"echo-udp", 1, NULL, echo_byte, echoed_byte},
};

const struct Protocol* find_protocol(const char* name) {
    for (size_t i = 0; i < sizeof(kProtocols) / sizeof(kProtocols[0]); i++) {
        if (strcmp(kProtocols[i].name, name) == 0) return &kProtocols[i];
    }
    return NULL;
}
