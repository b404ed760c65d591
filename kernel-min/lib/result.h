// Result<T>: a value or a Linux errno, and TRY to hand an error on to the caller.
//
//   Result<long> sys_close(int fd) {
//       TRY(current_process()->descriptors->remove(fd));
//       return 0;
//   }
//
// An Error holds a positive errno. It becomes -errno once, where the call returns to the program.
#pragma once

#include <asm/errno.h>

#include <new>
#include <utility>

namespace coracle {

// Errors that stay inside the kernel (Linux's include/linux/errno.h): what a call answers when a
// signal interrupted it, and which the exit path turns into a restart or EINTR.
constexpr int kErestartsys = 512;           // restart if SA_RESTART, else EINTR
constexpr int kErestartnointr = 513;        // always restart
constexpr int kErestartnohand = 514;        // restart if no handler ran, else EINTR
constexpr int kErestartRestartblock = 516;  // go on with the remaining time by restart_syscall

struct [[nodiscard]] Error {
    explicit constexpr Error(int errno_code) : code(errno_code) {}
    int code;
};

template <typename T>
class [[nodiscard]] Result {
  public:
    Result(T value) : value_(std::move(value)), error_(0) {}
    Result(Error error) : error_(error.code) {}
    Result(Result&& other) : error_(other.error_) {
        if (ok()) new (&value_) T(std::move(other.value_));
    }
    Result& operator=(Result&&) = delete;
    ~Result() {
        if (ok()) value_.~T();
    }

    bool ok() const { return error_ == 0; }
    explicit operator bool() const { return ok(); }
    int error_code() const { return error_; }
    Error error() const { return Error(error_); }
    // Preconditions: ok().
    T& value() { return value_; }
    T release_value() { return std::move(value_); }
    T* operator->() { return &value_; }
    T& operator*() { return value_; }

  private:
    union {
        T value_;
    };
    int error_;
};

template <>
class [[nodiscard]] Result<void> {
  public:
    Result() : error_(0) {}
    Result(Error error) : error_(error.code) {}
    bool ok() const { return error_ == 0; }
    explicit operator bool() const { return ok(); }
    int error_code() const { return error_; }
    Error error() const { return Error(error_); }
    void release_value() {}

  private:
    int error_;
};

// The value of a Result, or return its error from the enclosing function.
#define TRY(expression)                                    \
    ({                                                     \
        auto&& try_result_ = (expression);                 \
        if (!try_result_.ok()) return try_result_.error(); \
        try_result_.release_value();                       \
    })

}  // namespace coracle
