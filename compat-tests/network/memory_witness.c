// A thread that answers whoever connects with /proc/meminfo, /proc/self/status and
// /proc/net/sockstat, preloaded into a server whose machine is to be watched (tools/soak):
// MEMORY_WITNESS is its port.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void send_file(int connection, const char* name) {
    int file = open(name, O_RDONLY | O_CLOEXEC);
    char bytes[4096];
    for (ssize_t size; (size = read(file, bytes, sizeof bytes)) > 0;) {
        if (send(connection, bytes, (size_t)size, MSG_NOSIGNAL) != size) break;
    }
    close(file);
}

static void* serve(void* argument) {
    int listener = (int)(long)argument;
    for (;;) {
        int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (connection < 0) continue;
        send_file(connection, "/proc/meminfo");
        send_file(connection, "/proc/self/status");
        send_file(connection, "/proc/net/sockstat");
        close(connection);
    }
}

__attribute__((constructor)) static void start(void) {
    const char* port = getenv("MEMORY_WITNESS");
    if (!port) return;
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(port));
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr*)&address, sizeof address) < 0) abort();
    if (listen(listener, 4) < 0) abort();
    // The program's signals are the program's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, serve, (void*)(long)listener)) abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}
