// Unique symbols, enough for the loader's table of them to grow: it was allocated before the
// program's allocator was there.
template <int N>
struct Unique {
    static int value;
};
template <int N>
int Unique<N>::value = N;

template <int N>
int sum() {
    return Unique<N>::value + sum<N - 1>();
}
template <>
int sum<0>() {
    return 0;
}
extern "C" int unique_sum() {
    return sum<COUNT>();
}
