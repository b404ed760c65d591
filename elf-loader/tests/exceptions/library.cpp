// Built as the outer, middle and inner library, and as the loaded one: NAME, and NEXT if it calls
// on.
#include <cstdio>
#include <stdexcept>

struct Guard {
    ~Guard() { std::puts(NAME ": unwound"); }
};

#ifdef NEXT
extern "C" void NEXT(int depth);
#endif

extern "C" void FUNCTION(int depth) {
    Guard guard;
#ifdef NEXT
    NEXT(depth);
#else
    if (depth == 0) throw std::out_of_range(NAME);
    if (depth == 1) throw std::runtime_error(NAME);
    if (IS_LOADED) throw std::logic_error(NAME);
    throw depth;
#endif
}
