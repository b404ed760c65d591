// The library that is found at run time: it has no V2.
int answer(void) {
    return 0;
}
