#ifndef PADDING
#define PADDING 4096
#endif
__attribute__((aligned(256))) _Thread_local char padding[PADDING] = {1};
_Thread_local int value = VALUE;
int* value_address(void) {
    return &value;
}
