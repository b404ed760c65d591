static _Thread_local int value = 3;
int* value_address(void) {
    return &value;
}
