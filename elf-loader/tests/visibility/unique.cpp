template <typename T>
struct Holder {
    static int value;
};
template <typename T>
int Holder<T>::value = 1;
extern "C" int* FUNCTION() {
    return &Holder<int>::value;
}
