int symbolic(void) {
    return 3;
}
int call_symbolic(void) {
    return symbolic();
}
