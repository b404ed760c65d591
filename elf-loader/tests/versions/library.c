__attribute__((symver("answer@V1"))) int answer_1(void) {
    return 1;
}
__attribute__((symver("answer@@V2"))) int answer_2(void) {
    return 2;
}
