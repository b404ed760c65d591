static int factor_table[2] = {10, 100};
static int* factors = factor_table;
static int times_ten(int value) {
    return value * factors[0];
}
static int times_hundred(int value) {
    return value * factors[1];
}
static int (*resolve(void))(int) {
    return __builtin_strlen("ab") == 2 && factors == factor_table ? times_hundred : times_ten;
}
int chosen(int value) __attribute__((ifunc("resolve")));
int call_inside(int value) {
    return chosen(value) + 1;
}
