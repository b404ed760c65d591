__attribute__((visibility("protected"))) int guarded(void) {
    return 2;
}
int interposed(void) {
    return 2;
}
int call_protected(void) {
    return guarded();
}
int call_plain(void) {
    return interposed();
}
