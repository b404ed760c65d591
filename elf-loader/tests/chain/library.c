#ifdef NEXT
int NEXT(int value);
int FUNCTION(int value) {
    return NEXT(value + 1);
}
#else
int FUNCTION(int value) {
    return value + 1;
}
#endif
