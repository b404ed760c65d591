// The operations of micro that lie in files of their own. Each runs `count` times and returns 0 or
// an errno.
#pragma once

int eventfd_write_read(long count);
int epoll_one_of_10(long count);
int epoll_one_of_1000(long count);
int poll_one_of_10(long count);
int timerfd_set(long count);
int eventfd_ping_pong(long count);

int thread_create_join(long count);
int futex_wake_nobody(long count);
int futex_ping_pong(long count);
int condvar_ping_pong(long count);
int pipe_ping_pong(long count);
int signal_ping_pong(long count);
int yield_switch(long count);
