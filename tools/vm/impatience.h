// Tells when a user has asked often enough: the third time, each within two seconds of the last.
#pragma once

#include <chrono>

namespace coracle {

class Impatience {
  public:
    // One more request; whether it was the one too many.
    bool grows() {
        auto now = std::chrono::steady_clock::now();
        if (now - last_ > kWindow) count_ = 0;
        last_ = now;
        return ++count_ >= kLimit;
    }
    void forget() { count_ = 0; }

  private:
    static constexpr std::chrono::seconds kWindow{2};
    static constexpr int kLimit = 3;

    int count_ = 0;
    std::chrono::steady_clock::time_point last_{};
};

}  // namespace coracle
