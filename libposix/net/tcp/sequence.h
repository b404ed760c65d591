// A TCP sequence number (RFC 9293, 3.4): 32 bits that wrap. Two numbers are compared as if they are
// less than 2^31 apart.
#pragma once

#include <cstdint>

namespace coracle::net::tcp {

class Sequence {
  public:
    constexpr Sequence() = default;
    explicit constexpr Sequence(uint32_t value) : value_(value) {}
    constexpr uint32_t value() const { return value_; }

    friend constexpr Sequence operator+(Sequence a, uint32_t n) { return Sequence(a.value_ + n); }
    friend constexpr Sequence operator-(Sequence a, uint32_t n) { return Sequence(a.value_ - n); }
    // How far `a` is behind `b` on the way of the numbers; negative if it is before it.
    friend constexpr int32_t operator-(Sequence a, Sequence b) {
        return static_cast<int32_t>(a.value_ - b.value_);
    }
    Sequence& operator+=(uint32_t n) {
        value_ += n;
        return *this;
    }
    friend constexpr bool operator==(Sequence a, Sequence b) = default;
    friend constexpr bool operator<(Sequence a, Sequence b) { return a - b < 0; }
    friend constexpr bool operator>(Sequence a, Sequence b) { return b < a; }
    friend constexpr bool operator<=(Sequence a, Sequence b) { return !(b < a); }
    friend constexpr bool operator>=(Sequence a, Sequence b) { return !(a < b); }

  private:
    uint32_t value_ = 0;
};

constexpr Sequence earlier(Sequence a, Sequence b) {
    return a < b ? a : b;
}
constexpr Sequence later(Sequence a, Sequence b) {
    return a < b ? b : a;
}

// How many bytes `end` is beyond `start`; 0 if it is not.
constexpr uint32_t distance(Sequence start, Sequence end) {
    return end > start ? static_cast<uint32_t>(end - start) : 0;
}

}  // namespace coracle::net::tcp
