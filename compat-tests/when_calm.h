// For tests of what takes how long.
#pragma once

// Whether `attempt` is true, at the latest when the machine lets it: a busy one may stop for as
// long as it likes between any two instructions, but not each time.
template <typename Attempt>
bool when_calm(Attempt attempt) {
    for (int i = 0; i < 50; i++) {
        if (attempt()) return true;
    }
    return false;
}
