int present(void) {
    return 1;
}
int absent(void) {
    return 2;
}
