#include <immintrin.h>

double mix(int a, long b, double c, float d, int e, int f, int g, int h, double i, double j,
           double k, double l, double m, double n) {
    return a + (double)b * c + d - e + f * g - h + i * j - k + l / m + n;
}
__m256d add_vectors(__m256d a, __m256d b) {
    return _mm256_add_pd(a, b);
}
#ifdef COMPLETE  // The version that the program is linked with; the other one is what it finds.
int never_called_and_undefined(void) {
    return 0;
}
#endif
