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
#include <type_traits>
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

// Trivial for trivial types, so that a Result<long> travels in registers.
// Two whole words, without a union: else g++ moves them through memory.
template <typename T, bool = std::is_trivial_v<T>>
struct ResultStorage {
    ResultStorage(T&& value) : value_(value), error_(0) {}
    ResultStorage(Error error) : value_(), error_(error.code) {}
    T value_;
    long error_;
};

template <typename T>
struct ResultStorage<T, false> {
    ResultStorage(T&& value) : value_(std::move(value)), error_(0) {}
    ResultStorage(Error error) : error_(error.code) {}
    ResultStorage(ResultStorage&& other) : error_(other.error_) {
        if (error_ == 0) new (&value_) T(std::move(other.value_));
    }
    ~ResultStorage() {
        if (error_ == 0) value_.~T();
    }
    union {
        T value_;
    };
    int error_;
};

template <typename T>
class [[nodiscard]] Result : ResultStorage<T> {
  public:
    Result(T value) : ResultStorage<T>(std::move(value)) {}
    Result(Error error) : ResultStorage<T>(error) {}
    Result(Result&& other) = default;
    Result& operator=(Result&&) = delete;

    bool ok() const { return this->error_ == 0; }
    explicit operator bool() const { return ok(); }
    int error_code() const { return static_cast<int>(this->error_); }
    Error error() const { return Error(error_code()); }
    // Preconditions: ok().
    T& value() { return this->value_; }
    T release_value() { return std::move(this->value_); }
    T* operator->() { return &this->value_; }
    T& operator*() { return this->value_; }
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

// The value of a Result, or return its error from the enclosing function. Not inside the braces of
// an initialiser: g++ 12 does not destroy the members before it when it returns.
#define TRY(expression)                                    \
    ({                                                     \
        auto&& try_result_ = (expression);                 \
        if (!try_result_.ok()) return try_result_.error(); \
        try_result_.release_value();                       \
    })

}  // namespace coracle
