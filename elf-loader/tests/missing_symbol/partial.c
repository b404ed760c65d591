int present(void) {
    return 1;
}
