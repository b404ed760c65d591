// Threads: making them, and passing the turn between two of them in every way there is. A ping-pong
// is both ways; a switch is one.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "micro.h"

static void* do_nothing(void* argument) {
    return argument;
}

int thread_create_join(long count) {
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        int error = pthread_create(&thread, NULL, do_nothing, NULL);
        if (error) return error;
        pthread_join(thread, NULL);
    }
    return 0;
}

// Both players run `play`, with themselves (0 or 1) and the number of rounds.
typedef int Play(int self, long count);
struct Game {
    Play* play;
    long count;
};

static void* second_player(void* argument) {
    const struct Game* game = argument;
    return (void*)(intptr_t)game->play(1, game->count);
}

static int play_together(Play* play, long count) {
    struct Game game = {play, count};
    pthread_t thread;
    int error = pthread_create(&thread, NULL, second_player, &game);
    if (error) return error;
    error = play(0, count);
    void* other_error;
    pthread_join(thread, &other_error);
    return error ? error : (int)(intptr_t)other_error;
}

static long futex(atomic_int* word, int operation, int value) {
    return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

int futex_wake_nobody(long count) {
    static atomic_int word;
    for (long i = 0; i < count; i++) {
        if (futex(&word, FUTEX_WAKE, 1) != 0) return EIO;
    }
    return 0;
}

static atomic_int futex_turn;

static int play_futex(int self, long count) {
    for (long i = 0; i < count; i++) {
        while (atomic_load(&futex_turn) != self) futex(&futex_turn, FUTEX_WAIT, !self);
        atomic_store(&futex_turn, !self);
        futex(&futex_turn, FUTEX_WAKE, 1);
    }
    return 0;
}

int futex_ping_pong(long count) {
    futex_turn = 0;
    return play_together(play_futex, count);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed[2] = {PTHREAD_COND_INITIALIZER, PTHREAD_COND_INITIALIZER};
static int turn;

static int play_condvar(int self, long count) {
    pthread_mutex_lock(&mutex);
    for (long i = 0; i < count; i++) {
        while (turn != self) pthread_cond_wait(&turn_changed[self], &mutex);
        turn = !self;
        pthread_cond_signal(&turn_changed[!self]);
    }
    pthread_mutex_unlock(&mutex);
    return 0;
}

int condvar_ping_pong(long count) {
    turn = 0;
    return play_together(play_condvar, count);
}

static int pipes[2][2];  // from each player to the other

static int play_pipe(int self, long count) {
    char byte = 1;
    for (long i = 0; i < count; i++) {
        if (self == 0 && write(pipes[0][1], &byte, 1) != 1) return errno;
        if (read(pipes[!self][0], &byte, 1) != 1) return errno;
        if (self == 1 && write(pipes[1][1], &byte, 1) != 1) return errno;
    }
    return 0;
}

int pipe_ping_pong(long count) {
    if (pipe(pipes[0]) || pipe(pipes[1])) return errno;
    int error = play_together(play_pipe, count);
    for (int i = 0; i < 4; i++) close(pipes[i / 2][i % 2]);
    return error;
}

// Each sends the other a signal and waits for one with a handler.
static _Atomic pid_t player_ids[2];
static volatile sig_atomic_t arrived[2];
static __thread int player;

static void note_arrival(int signo) {
    (void)signo;
    arrived[player] = 1;
}

static int play_signal(int self, long count) {
    sigset_t others;
    pthread_sigmask(SIG_SETMASK, NULL, &others);
    sigdelset(&others, SIGUSR1);
    player = self;
    arrived[self] = self == 0;
    player_ids[self] = gettid();
    while (!player_ids[!self]) sched_yield();
    for (long i = 0; i < count; i++) {
        while (!arrived[self]) sigsuspend(&others);
        arrived[self] = 0;
        // The last one would find nobody.
        if (self == 1 && i == count - 1) break;
        if (syscall(SYS_tgkill, getpid(), player_ids[!self], SIGUSR1)) return errno;
    }
    return 0;
}

int signal_ping_pong(long count) {
    sigset_t blocked, old;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &old);
    signal(SIGUSR1, note_arrival);
    player_ids[0] = player_ids[1] = 0;
    int error = play_together(play_signal, count);
    signal(SIGUSR1, SIG_DFL);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return error;
}

static int play_yield(int self, long count) {
    (void)self;
    for (long i = 0; i < count; i += 2) sched_yield();
    return 0;
}

int yield_switch(long count) {
    return play_together(play_yield, count);
}
