const char* inner(void) {
    return "inner found";
}
