_Thread_local int library_value = 7;
int* library_address(void) {
    return &library_value;
}
