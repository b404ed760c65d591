// Arguments of every class survive the first call through the PLT, which resolves the function.
#include <immintrin.h>
#include <stdio.h>

double mix(int a, long b, double c, float d, int e, int f, int g, int h, double i, double j,
           double k, double l, double m, double n);
__m256d add_vectors(__m256d a, __m256d b);
int never_called_and_undefined(void);

int main(int argc, char** argv) {
    (void)argv;
    for (int i = 0; i < 2; ++i)
        printf("%.3f\n", mix(1, 2, 3.5, 4.5f, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14));
    if (__builtin_cpu_supports("avx")) {
        __m256d a = _mm256_set_pd(1, 2, 3, 4), b = _mm256_set_pd(10, 20, 30, 40);
        double out[4];
        _mm256_storeu_pd(out, add_vectors(a, b));
        printf("%g %g %g %g\n", out[0], out[1], out[2], out[3]);
    }
    fflush(stdout);
    if (argc > 1) return never_called_and_undefined();
    return 0;
}
