// Built twice: libscope_a.so and libscope_b.so, which say who they are.
const char* who(void) {
    return WHO;
}
const char* call_who(void) {
    return who();
}
