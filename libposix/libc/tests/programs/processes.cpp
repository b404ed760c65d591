// fork, vfork, spawn, signals, jumps, callbacks and dlopen through the image.
#include <dlfcn.h>
#include <netdb.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

extern char** environ;

namespace {

void wait_for(pid_t child, const char* what) {
    int status;
    if (waitpid(child, &status, 0) != child) perror("waitpid");
    printf("%s: exit %d signal %d\n", what, WIFEXITED(status) ? WEXITSTATUS(status) : -1,
           WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

void make_children() {
    fflush(stdout);
    const pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) _exit(getppid() == parent && getpid() != parent ? 5 : 6);
    wait_for(child, "fork");
    child = vfork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", "exit 9", nullptr);
        _exit(1);
    }
    wait_for(child, "vfork");
    char* arguments[] = {const_cast<char*>("sh"), const_cast<char*>("-c"),
                         const_cast<char*>("kill -TERM $$"), nullptr};
    if (posix_spawn(&child, "/bin/sh", nullptr, nullptr, arguments, environ) == 0)
        wait_for(child, "spawn");
    printf("system: %d\n", WEXITSTATUS(system("exit 4")));
    FILE* pipe = popen("echo from popen", "r");
    char line[100];
    if (fgets(line, sizeof(line), pipe) != nullptr) fputs(line, stdout);
    printf("pclose: %d\n", pclose(pipe));
    char missing[] = "/nonexistent";
    char* none[] = {missing, nullptr};
    printf("spawn of nothing: %d\n", posix_spawn(&child, missing, nullptr, nullptr, none, environ));
}

volatile int handled;
sigjmp_buf back;

void on_signal(int number) {
    handled = handled + number;
}
void on_fault(int, siginfo_t* info, void*) {
    siglongjmp(back, info->si_code == SEGV_MAPERR ? 2 : 1);
}

void use_signals() {
    signal(SIGUSR1, on_signal);
    raise(SIGUSR1);
    kill(getpid(), SIGUSR1);
    printf("handled: %d\n", handled == 2 * SIGUSR1);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    stack_t stack = {};
    stack.ss_size = 65536;
    stack.ss_sp = malloc(stack.ss_size);
    sigaltstack(&stack, nullptr);
    sigaction(SIGSEGV, &action, nullptr);
    const int jumped = sigsetjmp(back, 1);
    static volatile int* volatile nowhere = nullptr;
    if (jumped == 0) *nowhere = 1;
    printf("fault: %d\n", jumped);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mask, nullptr);
    raise(SIGUSR2);
    const timespec now = {};
    printf("sigtimedwait: %d\n", sigtimedwait(&mask, nullptr, &now));
}

int throwing_comparison(const void* a, const void* b) {
    if (*static_cast<const int*>(a) == 3) throw std::runtime_error("out of qsort");
    return *static_cast<const int*>(a) - *static_cast<const int*>(b);
}

void unwind_through_libc() {
    int numbers[] = {5, 3, 1};
    try {
        qsort(numbers, 3, sizeof(int), throwing_comparison);
    } catch (const std::exception& error) {
        printf("caught %s\n", error.what());
    }
    try {
        std::string().at(1);
    } catch (const std::out_of_range&) {
        puts("caught out_of_range");
    }
}

void open_libraries() {
    void* math = dlopen("libm.so.6", RTLD_NOW);
    auto cosine = reinterpret_cast<double (*)(double)>(dlsym(math, "cos"));
    printf("cos: %g\n", cosine(0));
    printf("old memcpy: %d\n", dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_2.2.5") != nullptr);
    printf("absent: %s\n", dlsym(RTLD_DEFAULT, "no_such_symbol") == nullptr ? "yes" : "no");
    void* zlib = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    printf("zlib: %d\n", zlib != nullptr && dlsym(zlib, "deflate") != nullptr);
    Dl_info info;
    printf("dladdr: %d\n", dladdr(reinterpret_cast<void*>(&strtol), &info) != 0 &&
                               info.dli_saddr == reinterpret_cast<void*>(&strtol));
}

}  // namespace

int main() {
    make_children();
    use_signals();
    unwind_through_libc();
    open_libraries();
    timespec start, end;
    clock_gettime(CLOCK_MONOTONIC, &start);
    usleep(2000);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("time passes: %d\n",
           (end.tv_sec - start.tv_sec) * 1000000000 + end.tv_nsec - start.tv_nsec >= 2000000);
    servent* service = getservbyname("http", "tcp");
    printf("service: %d\n", service == nullptr ? 0 : ntohs(service->s_port));
    return 0;
}
