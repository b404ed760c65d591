// Typed pointers into application memory. They have no dereference operator: data crosses by
// read() and write(), which answer EFAULT for a bad pointer (man 2 intro: EFAULT).
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "kernel-min/lib/result.h"
#include "kernel-min/lib/user_copy.h"

namespace coracle {

template <typename T>
class UserPtr {
  public:
    constexpr UserPtr() = default;
    constexpr explicit UserPtr(uint64_t address) : address_(address) {}
    constexpr uint64_t address() const { return address_; }
    constexpr explicit operator bool() const { return address_ != 0; }

  protected:
    uint64_t address_ = 0;
};

template <typename T>
class UserIn : public UserPtr<T> {
  public:
    using UserPtr<T>::UserPtr;
    Result<T> read(size_t index = 0) const {
        T value;
        if (!copy_from_user(&value, this->address_ + index * sizeof(T), sizeof(T))) {
            return Error(EFAULT);
        }
        return value;
    }
    Result<void> read_array(T* to, size_t count) const {
        if (!copy_from_user(to, this->address_, count * sizeof(T))) return Error(EFAULT);
        return {};
    }
    UserIn operator+(size_t count) const { return UserIn(this->address_ + count * sizeof(T)); }
};

template <typename T>
class UserOut : public UserPtr<T> {
  public:
    using UserPtr<T>::UserPtr;
    Result<void> write(const T& value, size_t index = 0) const {
        if (!copy_to_user(this->address_ + index * sizeof(T), &value, sizeof(T))) {
            return Error(EFAULT);
        }
        return {};
    }
    Result<void> write_array(const T* from, size_t count) const {
        if (!copy_to_user(this->address_, from, count * sizeof(T))) return Error(EFAULT);
        return {};
    }
    UserOut operator+(size_t count) const { return UserOut(this->address_ + count * sizeof(T)); }
};

template <typename T>
class UserInOut : public UserPtr<T> {
  public:
    using UserPtr<T>::UserPtr;
    UserIn<T> in() const { return UserIn<T>(this->address_); }
    UserOut<T> out() const { return UserOut<T>(this->address_); }
    Result<T> read() const { return in().read(); }
    Result<void> write(const T& value) const { return out().write(value); }
};

}  // namespace coracle
