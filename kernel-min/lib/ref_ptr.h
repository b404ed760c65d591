// Intrusive counted references. An object starts with one reference, owned by the RefPtr that
// adopt_ref() returns.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

namespace coracle {

template <typename Derived>
class RefCounted {
  public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;

    void ref() const { references_.fetch_add(1, std::memory_order_relaxed); }
    void unref() const {
        if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
            delete static_cast<const Derived*>(this);
        }
    }
    uint32_t reference_count() const { return references_.load(std::memory_order_relaxed); }

  protected:
    ~RefCounted() = default;

  private:
    mutable std::atomic<uint32_t> references_{1};
};

template <typename T>
class RefPtr {
  public:
    RefPtr() = default;
    RefPtr(decltype(nullptr)) {}
    explicit RefPtr(T* object) : object_(object) {
        if (object_) object_->ref();
    }
    RefPtr(const RefPtr& other) : RefPtr(other.object_) {}
    RefPtr(RefPtr&& other) : object_(std::exchange(other.object_, nullptr)) {}
    template <typename U>
    RefPtr(const RefPtr<U>& other) : RefPtr(static_cast<T*>(other.get())) {}
    template <typename U>
    RefPtr(RefPtr<U>&& other) : object_(other.leak_ref()) {}
    ~RefPtr() {
        if (object_) object_->unref();
    }
    RefPtr& operator=(RefPtr other) {
        std::swap(object_, other.object_);
        return *this;
    }

    T* get() const { return object_; }
    T* operator->() const { return object_; }
    T& operator*() const { return *object_; }
    explicit operator bool() const { return object_ != nullptr; }
    bool operator==(const RefPtr& other) const { return object_ == other.object_; }
    // Gives up ownership of the reference without dropping it.
    T* leak_ref() { return std::exchange(object_, nullptr); }

  private:
    template <typename U>
    friend RefPtr<U> adopt_ref(U* object);
    T* object_ = nullptr;
};

template <typename T>
RefPtr<T> adopt_ref(T* object) {
    RefPtr<T> result;
    result.object_ = object;
    return result;
}

}  // namespace coracle
