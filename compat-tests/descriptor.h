#pragma once

#include <unistd.h>

#include <utility>

// A descriptor that is closed at the end of its scope.
class Descriptor {
  public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    Descriptor(Descriptor&& other) : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) {
        reset(other.release());
        return *this;
    }
    ~Descriptor() { reset(); }
    operator int() const { return fd_; }
    int release() { return std::exchange(fd_, -1); }
    void reset(int fd = -1) {
        if (fd_ >= 0) close(fd_);
        fd_ = fd;
    }

  private:
    int fd_;
};
